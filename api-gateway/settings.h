/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's settings, checked. */

#ifndef API_GATEWAY_SETTINGS_H
#define API_GATEWAY_SETTINGS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/err.h"

struct settings {
	const char *listen;
	const char *gpu_agent_socket;
	const char *gpu_agent_user;
	const char *instance_svc_socket;
	const char *instance_svc_user;
	uint64_t threads;
	uint64_t streams;
	uint64_t timeout_seconds;
	const char *jwt_secret_file; /* NULL: no authentication */
	bool debug;

	/* From the texts. */
	char address[INET_ADDRSTRLEN];
	unsigned port;
	uid_t gpu_agent_uid;
	uid_t instance_svc_uid;

	struct config config;
};

/* As config_parse(): 0 to go on, 1 when the answer was printed, -1 with *err. */
int settings_parse(struct settings *settings, int argc, char **argv, struct err *err);
void settings_done(struct settings *settings);

#endif
