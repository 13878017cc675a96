/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gpu-agent-serve process: another program, another user, no capabilities, and nothing of
 * root's but a socket to the monitor as descriptor OPS_SERVE_FD.
 */

#ifndef GPU_AGENT_MONITOR_SERVE_PROCESS_H
#define GPU_AGENT_MONITOR_SERVE_PROCESS_H

#include <sys/types.h>

#include "settings.h"

struct serve_process {
	pid_t pid;  /* 0: not running */
	int socket; /* owned; the monitor's end; -1: none */
};

#define SERVE_PROCESS_NONE ((struct serve_process){ .pid = 0, .socket = -1 })

/* A program that cannot be executed is a serve that ends at once, with status 127. */
int serve_process_start(struct serve_process *serve, const struct settings *settings,
			struct err *err);

/* After its death. */
void serve_process_forget(struct serve_process *serve);

#endif
