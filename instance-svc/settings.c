/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <string.h>

#include "common/rpc/peer_text.h"
#include "common/user_id.h"
#include "rate.h"
#include "service.h"
#include "size.h"

#define SETTING_COUNT  23
#define IMAGE_SIZE_MIN (1 << 20)

static const struct peer_role roles[] = {
	{ "reader", ROLE_READER },
	{ "operator", ROLE_OPERATOR },
	{ "proxy", ROLE_PROXY },
	{ NULL, 0 },
};

int settings_parse_peer(const char *text, struct rpc_peer *ret, struct err *err)
{
	return peer_text_parse(text, roles, ret, err);
}

static int check_peers(struct settings *settings, struct err *err)
{
	if (settings->peer_texts.count > SETTINGS_PEERS_MAX)
		return err_field(err, "peer", "peer is given %zu times: at most %d",
				 settings->peer_texts.count, SETTINGS_PEERS_MAX);
	for (size_t i = 0; i < settings->peer_texts.count; i++) {
		struct rpc_peer *peer = &settings->peers[i];

		if (settings_parse_peer(settings->peer_texts.values[i], peer, err) < 0)
			return -1;
		for (size_t j = 0; j < i; j++)
			if (settings->peers[j].uid == peer->uid)
				return err_field(err, "peer",
						 "peers '%s' and '%s' are the same user %u: give "
						 "one of them all roles",
						 settings->peers[j].name, peer->name, peer->uid);
	}
	settings->peer_count = settings->peer_texts.count;
	return 0;
}

static int check_quotas(struct settings *settings, struct err *err)
{
	if (settings->quota_texts.count > QUOTA_LINES_MAX)
		return err_field(err, "quota", "quota is given %zu times: at most %d",
				 settings->quota_texts.count, QUOTA_LINES_MAX);
	for (size_t i = 0; i < settings->quota_texts.count; i++) {
		struct quota_line *line = &settings->quotas[i];

		if (quota_parse(settings->quota_texts.values[i], line, err) < 0)
			return -1;
		for (size_t j = 0; j < i; j++)
			if (strcmp(settings->quotas[j].principal, line->principal) == 0)
				return err_field(err, "quota", "quota has two lines for '%s'",
						 line->principal);
	}
	settings->quota_count = settings->quota_texts.count;
	return 0;
}

static int check(struct settings *settings, struct err *err)
{
	if (strcmp(settings->accel_text, "auto") == 0)
		settings->accel = ACCEL_AUTO;
	else if (strcmp(settings->accel_text, "kvm") == 0)
		settings->accel = ACCEL_KVM;
	else if (strcmp(settings->accel_text, "tcg") == 0)
		settings->accel = ACCEL_TCG;
	else
		return err_field(err, "accel", "accel is '%s': must be auto, kvm or tcg",
				 settings->accel_text);
	if (size_parse(settings->image_size_text, &settings->image_bytes_max) < 0 ||
	    settings->image_bytes_max < IMAGE_SIZE_MIN)
		return err_field(
			err, "image-size-max",
			"image-size-max is '%.64s': must be a size of at least %s, such as "
			"\"64GB\"",
			settings->image_size_text, SIZE_STR(IMAGE_SIZE_MIN));
	settings->network_bps = 0;
	if (*settings->network_text &&
	    rate_parse(settings->network_text, &settings->network_bps) < 0)
		return err_field(err, "network-capacity",
				 "network-capacity is '%.64s': must be bits per second, such as "
				 "\"10Gbps\"",
				 settings->network_text);
	settings->gpu_agent_uid = (uid_t)-1;
	if (*settings->gpu_agent_user && user_id_parse("gpu-agent-user", settings->gpu_agent_user,
						       &settings->gpu_agent_uid, err) < 0)
		return -1;
	return check_peers(settings, err) < 0 ? -1 : check_quotas(settings, err);
}

int settings_parse(struct settings *s, int argc, char **argv, struct err *err)
{
	static struct config_setting table[SETTING_COUNT];
	const struct config_setting rows[SETTING_COUNT] = {
		{ "socket", CONFIG_PATH, &s->socket, "/run/hypeman/instance-svc/sock", 0, 0,
		  "Unix socket to serve on" },
		{ "state-dir", CONFIG_PATH, &s->state_dir, "/var/lib/hypeman/instance-svc", 0, 0,
		  "records, images, disks and logs" },
		{ "run-dir", CONFIG_PATH, &s->run_dir, "/run/hypeman/instance-svc", 0, 0,
		  "control sockets of the VMs' supervisors" },
		{ "gpu-agent-socket", CONFIG_PATH, &s->gpu_agent_socket,
		  "/run/hypeman/gpu-agent/sock", 0, 0, "where gpu-agent serves" },
		{ "gpu-agent-user", CONFIG_TEXT, &s->gpu_agent_user, "", 0, 0,
		  "user or uid that must own gpu-agent's socket; empty: any" },
		{ "peer", CONFIG_LIST, &s->peer_texts, NULL, 0, 0,
		  "who may call, name:user-or-uid:role+role; roles: reader, operator, proxy" },
		{ "quota", CONFIG_LIST, &s->quota_texts, NULL, 0, 0,
		  "what one principal may have, as peer[/on-behalf-of]:vcpus=8,gpus=1; \"*\": others" },
		{ "supervisor", CONFIG_TEXT, &s->supervisor, "", 0, 0,
		  "path of instance-supervisor; empty: beside this program" },
		{ "kernel", CONFIG_PATH, &s->kernel, "/usr/lib/hypeman/guest/vmlinux", 0, 0,
		  "kernel that VMs boot" },
		{ "initramfs", CONFIG_PATH, &s->initramfs, "/usr/lib/hypeman/guest/initramfs.cpio",
		  0, 0, "initramfs that VMs boot" },
		{ "registries-conf", CONFIG_TEXT, &s->registries_conf, "", 0, 0,
		  "containers-registries.conf for pulls; empty: the host's own" },
		{ "auth-file", CONFIG_TEXT, &s->auth_file, "", 0, 0,
		  "credentials for registries, as of containers-auth.json; empty: none" },
		{ "image-pulls", CONFIG_UINT, &s->image_pulls, "2", 1, 64,
		  "images that are pulled at a time; others wait" },
		{ "image-size-max", CONFIG_TEXT, &s->image_size_text, "64GB", 0, 0,
		  "what an image may take unpacked" },
		{ "vm-uids", CONFIG_TEXT, &s->vm_uids, "", 0, 0,
		  "FIRST-COUNT of /etc/subuid for VMs; empty: all after our first 65536" },
		{ "vm-gids", CONFIG_TEXT, &s->vm_gids, "", 0, 0,
		  "FIRST-COUNT of /etc/subgid for VMs; empty: all after our first 65536" },
		{ "cpu-oversubscription", CONFIG_UINT, &s->cpu_percent, "400", 1, 100000,
		  "percent of the host's CPUs that may be promised" },
		{ "memory-oversubscription", CONFIG_UINT, &s->memory_percent, "100", 1, 100000,
		  "percent of the host's memory that may be promised" },
		{ "disk-oversubscription", CONFIG_UINT, &s->disk_percent, "100", 1, 100000,
		  "percent of the disk that may be promised" },
		{ "stop-guests", CONFIG_BOOL, &s->stop_guests, NULL, 0, 0,
		  "do not serve: ask every guest to stop since the host shuts down, and wait" },
		{ "network-oversubscription", CONFIG_UINT, &s->network_percent, "200", 1, 100000,
		  "percent of the network's rate that may be promised" },
		{ "network-capacity", CONFIG_TEXT, &s->network_text, "", 0, 0,
		  "rate of the uplink, such as 10Gbps; empty: as its interface says" },
		{ "accel", CONFIG_TEXT, &s->accel_text, "auto", 0, 0,
		  "auto (KVM where it works), kvm or tcg" },
	};
	int r;

	memcpy(table, rows, sizeof(table));
	s->config = (struct config){
		.program = "instance-svc",
		.description = "virtual machines of one host, over gRPC",
		.default_file = "/etc/hypeman/instance-svc.conf",
		.settings = table,
		.setting_count = SETTING_COUNT,
	};
	r = config_parse(&s->config, argc, argv, err);
	return r != 0 ? r : check(s, err);
}

void settings_done(struct settings *settings)
{
	config_done(&settings->config);
}
