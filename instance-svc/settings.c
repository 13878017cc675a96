/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"

#define SETTING_COUNT 17

static const struct {
	const char *word;
	unsigned role;
} roles[] = {
	{ "reader", ROLE_READER },
	{ "operator", ROLE_OPERATOR },
};

/* A name of the user database, or a number. */
static int parse_user(const char *text, uid_t *ret)
{
	const struct passwd *user;
	char *end;
	unsigned long number;

	if (isdigit((unsigned char)*text)) {
		number = strtoul(text, &end, 10);
		if (*end || number >= UINT32_MAX)
			return -EINVAL;
		*ret = (uid_t)number;
		return 0;
	}
	user = getpwnam(text);
	if (!user)
		return -ENOENT;
	*ret = user->pw_uid;
	return 0;
}

static int parse_roles(const char *text, unsigned *ret)
{
	*ret = 0;
	for (;;) {
		size_t length = strcspn(text, "+"), i;

		for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
			if (strlen(roles[i].word) == length &&
			    strncmp(roles[i].word, text, length) == 0)
				break;
		if (i == sizeof(roles) / sizeof(roles[0]))
			return -EINVAL;
		*ret |= roles[i].role;
		if (text[length] == '\0')
			return 0;
		text += length + 1;
	}
}

int settings_parse_peer(const char *text, struct rpc_peer *ret, struct err *err)
{
	struct rpc_peer peer = { 0 };
	char name[32], user[64], role[64];
	char rest;

	if (sscanf(text, "%31[^:]:%63[^:]:%63[^:]%c", name, user, role, &rest) != 3)
		return err_field(err, "peer",
				 "peer is '%s': must be name:user-or-uid:role, where role is "
				 "reader, operator or both joined by '+'",
				 text);
	if (parse_user(user, &peer.uid) < 0)
		return err_field(err, "peer", "peer is '%s': there is no user '%s'", text, user);
	if (parse_roles(role, &peer.roles) < 0)
		return err_field(err, "peer",
				 "peer is '%s': its role is '%s', must be reader, operator or both "
				 "joined by '+'",
				 text, role);
	memcpy(peer.name, name, sizeof(peer.name));
	*ret = peer;
	return 0;
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
	settings->gpu_agent_uid = (uid_t)-1;
	if (*settings->gpu_agent_user &&
	    parse_user(settings->gpu_agent_user, &settings->gpu_agent_uid) < 0)
		return err_field(err, "gpu-agent-user",
				 "gpu-agent-user is '%s': there is no such user",
				 settings->gpu_agent_user);
	return check_peers(settings, err);
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
		  "who may call, name:user-or-uid:role+role; roles: reader, operator" },
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
