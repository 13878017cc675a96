/* SPDX-License-Identifier: Apache-2.0 */
/* What instance-svc can be told, checked. */

#ifndef INSTANCE_SVC_SETTINGS_H
#define INSTANCE_SVC_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/err.h"
#include "common/rpc/rpc.h"
#include "quota.h"

#define SETTINGS_PEERS_MAX 32

enum accel {
	ACCEL_AUTO, /* KVM if it boots a kernel, else TCG */
	ACCEL_KVM,  /* or refuse to start */
	ACCEL_TCG,
};

struct settings {
	struct config config; /* owns the texts */
	const char *socket;
	const char *state_dir;
	const char *run_dir;
	const char *gpu_agent_socket;
	const char *supervisor; /* empty: found beside us */
	const char *kernel;
	const char *initramfs;
	const char *registries_conf; /* empty: the host's own */
	const char *auth_file;	     /* empty: none */
	const char *vm_uids, *vm_gids;
	uint64_t image_pulls;
	uint64_t image_bytes_max;
	bool stop_guests; /* in place of serving */
	uint64_t cpu_percent, memory_percent, disk_percent, network_percent;
	uint64_t network_bps; /* 0: as the interface says */
	enum accel accel;
	uid_t gpu_agent_uid; /* (uid_t)-1: anybody */
	struct rpc_peer peers[SETTINGS_PEERS_MAX];
	size_t peer_count;
	struct quota_line quotas[QUOTA_LINES_MAX];
	size_t quota_count;

	/* As given. */
	const char *accel_text;
	const char *image_size_text;
	const char *network_text;
	const char *gpu_agent_user;
	struct config_list peer_texts, quota_texts;
};

/* As config_parse(). */
int settings_parse(struct settings *settings, int argc, char **argv, struct err *err);
void settings_done(struct settings *settings);

/* "name:user-or-uid:role+role". */
int settings_parse_peer(const char *text, struct rpc_peer *ret, struct err *err);

#endif
