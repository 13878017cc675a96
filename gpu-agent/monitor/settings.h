/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu-agent's settings, checked. The monitor and its workers read them; serve gets its own
 * part as flags.
 */

#ifndef GPU_AGENT_MONITOR_SETTINGS_H
#define GPU_AGENT_MONITOR_SETTINGS_H

#include <sys/types.h>

#include "common/config.h"
#include "common/err.h"
#include "policy.h"

#define SETTINGS_COUNT 24

struct settings {
	/* Texts are borrowed from the config, except what says owned. */
	const char *socket;
	const char *state_dir;
	const char *journal_dir;
	const char *sysfs_root;
	const char *dev_root;
	const char *serve_user;
	const char *serve_program;
	const char *uevent_socket; /* serve's */
	struct config_list peers;
	const char *tls_listen, *tls_cert, *tls_key, *tls_ca, *tls_crl; /* serve's */
	struct config_list tls_peers;
	struct config_list grant_gids;
	struct config_list device_vendors;
	struct config_list device_classes;
	struct config_list device_addresses;
	bool allow_boot_display;
	bool allow_bound;
	bool seccomp; /* serve's */
	bool check;   /* look whether the host is ready, and end */
	uint64_t rescan_seconds;

	/* Derived. */
	uid_t serve_uid;
	gid_t serve_gid;
	struct policy policy;
	char *beside; /* owned: serve-program's default */
	struct config config;
	struct config_setting table[SETTINGS_COUNT];
};

/* As config_parse(): 0, 1 when a question was answered, -1 with *err. settings stays where it is.
 */
int settings_read(struct settings *settings, int argc, char **argv, struct err *err);
void settings_done(struct settings *settings);

#endif
