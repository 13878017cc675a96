/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process exactly: pids are used again, so a pid alone may name a stranger. Pid,
 * start time and boot id together never do.
 */

#ifndef INSTANCE_SVC_PROCESS_ID_H
#define INSTANCE_SVC_PROCESS_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "id.h"

struct process_id {
	pid_t pid;	      /* 0: none */
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	struct uuid_text boot_id;
};

/* Fails with -ESRCH when there is no such process (a zombie counts as none). */
int process_id_of(pid_t pid, struct process_id *ret);

bool process_id_is_alive(const struct process_id *id);

/* Through a pidfd that was checked after it was opened: never hits another process. */
int process_id_kill(const struct process_id *id, int signal);

#endif
