/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process began something: its pid, and its start time because pids come again.
 */

#ifndef GPU_AGENT_MONITOR_WRITER_H
#define GPU_AGENT_MONITOR_WRITER_H

#include <stdbool.h>
#include <stdint.h>

struct writer {
	int32_t pid;
	uint64_t start; /* clock ticks since boot, as /proc/PID/stat has it */
};

/* The calling process. 0 or -errno. */
int writer_self(struct writer *ret);

/*
 * false: whatever it was doing in the kernel is over. A process in state D is alive; one that
 * cannot be looked at counts as alive.
 */
bool writer_is_alive(struct writer writer);

#endif
