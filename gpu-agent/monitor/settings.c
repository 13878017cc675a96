/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/scoped.h"
#include "id_text.h"

#define SERVE_NAME "gpu-agent-serve"

static void fill_table(struct settings *s)
{
	const struct config_setting rows[] = {
		{ "socket", CONFIG_PATH, &s->socket, "/run/hypeman/gpu-agent/sock", 0, 0,
		  "Unix socket that gpu-agent-serve listens on" },
		{ "state-dir", CONFIG_PATH, &s->state_dir, "/var/lib/hypeman/gpu-agent", 0, 0,
		  "gpu-agent-serve's records; belongs to serve-user" },
		{ "journal-dir", CONFIG_PATH, &s->journal_dir, "/var/lib/hypeman/gpu-agent-journal",
		  0, 0, "root's record of what it made; belongs to root, mode 0700" },
		{ "sysfs-root", CONFIG_PATH, &s->sysfs_root, "/sys", 0, 0,
		  "another tree in place of /sys: a simulated host" },
		{ "dev-root", CONFIG_PATH, &s->dev_root, NULL, 0, 0,
		  "the /dev of sysfs-root; /dev for /sys, and must be given for another" },
		{ "serve-user", CONFIG_TEXT, &s->serve_user, "hypeman-gpu", 0, 0,
		  "user of gpu-agent-serve: a name or UID:GID, not root" },
		{ "serve-program", CONFIG_PATH, &s->serve_program, NULL, 0, 0,
		  "gpu-agent-serve; default: beside gpu-agent" },
		{ "peer", CONFIG_LIST, &s->peers, NULL, 0, 0,
		  "who may call: NAME:USER:ROLE[+ROLE...], of reader registrar allocator admin" },
		{ "tls-listen", CONFIG_TEXT, &s->tls_listen, NULL, 0, 0,
		  "address and port for callers elsewhere, 192.0.2.1:7443; none: no TCP" },
		{ "tls-cert", CONFIG_PATH, &s->tls_cert, NULL, 0, 0,
		  "certificate of this agent and its chain, PEM" },
		{ "tls-key", CONFIG_PATH, &s->tls_key, NULL, 0, 0,
		  "key of the certificate, for serve-user alone" },
		{ "tls-ca", CONFIG_PATH, &s->tls_ca, NULL, 0, 0,
		  "certificates that may vouch for callers, PEM" },
		{ "tls-crl", CONFIG_PATH, &s->tls_crl, NULL, 0, 0, "revoked certificates, PEM" },
		{ "tls-peer", CONFIG_LIST, &s->tls_peers, NULL, 0, 0,
		  "who may call by TCP: NAME:SUBJECT-ALT-NAME:ROLE[+ROLE...]" },
		{ "grant-gids", CONFIG_LIST, &s->grant_gids, NULL, 0, 0,
		  "FIRST-LAST, group ids that device nodes may be granted to" },
		{ "device-vendor", CONFIG_LIST, &s->device_vendors, "10de", 0, 0,
		  "PCI vendor whose display controllers may be touched" },
		{ "device-class", CONFIG_LIST, &s->device_classes, "03", 0, 0,
		  "PCI base classes that count as GPUs: 03 display, 12 processing accelerator" },
		{ "device-address", CONFIG_LIST, &s->device_addresses, NULL, 0, 0,
		  "PCI address of a GPU: only those given may be touched; never one given as !ADDRESS" },
		{ "allow-boot-display", CONFIG_BOOL, &s->allow_boot_display, "no", 0, 0,
		  "the display that the firmware uses may be passed through" },
		{ "allow-bound", CONFIG_BOOL, &s->allow_bound, "no", 0, 0,
		  "GPUs that an administrator bound to a VFIO driver may be passed through" },
		{ "seccomp", CONFIG_BOOL, &s->seccomp, "yes", 0, 0,
		  "filter the system calls of gpu-agent-serve; no: for a kernel that cannot" },
		{ "check", CONFIG_BOOL, &s->check, "no", 0, 0,
		  "look whether this host is ready, say what to do, and end" },
		{ "uevent-socket", CONFIG_PATH, &s->uevent_socket, NULL, 0, 0,
		  "datagram socket that gpu-agent-serve makes, for events in the form of kernel "
		  "uevents" },
		{ "rescan-seconds", CONFIG_UINT, &s->rescan_seconds, "30", 1, 3600,
		  "time between scans of the host when nothing happens" },
	};

	_Static_assert(sizeof(rows) == sizeof(s->table), "the table has room for each row");
	memcpy(s->table, rows, sizeof(rows));
}

static int find_user(struct settings *settings, struct err *err)
{
	const char *text = settings->serve_user;
	const struct passwd *user;
	const char *rest;

	if (id_text_parse(text, ':', &settings->serve_uid, &rest) == 0 &&
	    id_text_parse(rest, '\0', &settings->serve_gid, &rest) == 0)
		return 0;
	errno = 0;
	user = getpwnam(text);
	if (!user)
		return err_field(
			err, "serve-user",
			"serve-user is '%s', must be the name of a user of this system, or "
			"UID:GID without a 0",
			text);
	if (user->pw_uid == 0 || user->pw_gid == 0)
		return err_field(err, "serve-user", "serve-user is '%s', must not be root", text);
	settings->serve_uid = user->pw_uid;
	settings->serve_gid = user->pw_gid;
	return 0;
}

static int find_program(struct settings *settings, struct err *err)
{
	char self[4096];
	ssize_t length;
	char *slash;

	if (settings->serve_program)
		return 0;
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length < 0)
		return err_sys(err, errno, "cannot tell where gpu-agent is, to find " SERVE_NAME);
	self[length] = '\0';
	slash = strrchr(self, '/');
	if (asprintf(&settings->beside, "%.*s/" SERVE_NAME, (int)(slash - self), self) < 0) {
		settings->beside = NULL;
		return err_sys(err, ENOMEM, "cannot keep serve-program");
	}
	settings->serve_program = settings->beside;
	return 0;
}

/* Spelling only: workers compare the directories themselves (host.h). */
static int check_roots(struct settings *settings, struct err *err)
{
	bool real = strcmp(settings->sysfs_root, "/sys") == 0;

	if (!settings->dev_root && real)
		settings->dev_root = "/dev";
	if (!settings->dev_root)
		return err_field(err, "dev-root",
				 "dev-root must be given with sysfs-root '%s': the directory that "
				 "stands for /dev there",
				 settings->sysfs_root);
	return 0;
}

int settings_read(struct settings *settings, int argc, char **argv, struct err *err)
{
	int r;

	*settings = (struct settings){ 0 };
	settings->config = (struct config){
		.program = "gpu-agent",
		.description = "owns this host's GPUs: the part that is root",
		.default_file = "/etc/hypeman/gpu-agent.conf",
		.settings = settings->table,
		.setting_count = SETTINGS_COUNT,
	};
	fill_table(settings);
	r = config_parse(&settings->config, argc, argv, err);
	if (r != 0)
		return r;
	if (policy_parse(&settings->grant_gids, &settings->device_vendors, &settings->policy, err) <
		    0 ||
	    policy_add_classes(&settings->policy, &settings->device_classes, err) < 0 ||
	    policy_add_addresses(&settings->policy, &settings->device_addresses, err) < 0 ||
	    (!settings->check && find_user(settings, err) < 0) || find_program(settings, err) < 0 ||
	    check_roots(settings, err) < 0)
		return -1;
	settings->policy.allow_boot_display = settings->allow_boot_display;
	settings->policy.allow_bound = settings->allow_bound;
	return 0;
}

void settings_done(struct settings *settings)
{
	config_done(&settings->config);
	free(settings->beside);
	settings->beside = NULL;
}
