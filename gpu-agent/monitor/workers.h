/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's account of its workers.
 *
 * A worker that was given up is killed; until the kernel lets it die (state D) it counts as
 * stuck. The account bounds both. When one has died so, another process finds out what it
 * left behind (settle.h), one such process at a time.
 */

#ifndef GPU_AGENT_MONITOR_WORKERS_H
#define GPU_AGENT_MONITOR_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gpu-agent/ops.h"
#include "settings.h"

struct workers {
	uint64_t last_id;
	struct worker_slot {
		pid_t pid; /* 0: free */
		uint64_t id;
		bool given_up;
	} slots[OPS_WORKERS_MAX];
	pid_t settler;	/* 0: none runs */
	bool unsettled; /* a worker was killed since it was started */
};

/* Forks a worker. Fills reply, which is zeroed; the descriptor for serve (the caller closes it), or
 * -1. */
int workers_start(struct workers *workers, const struct settings *settings,
		  struct monitor_reply *reply);

/* An id that is no worker's (any more) is ignored: it may just have ended. */
void workers_give_up(struct workers *workers, uint64_t id);
void workers_give_up_all(struct workers *workers);

/* A child has ended, status as from waitpid(). */
void workers_reap(struct workers *workers, const struct settings *settings, pid_t pid, int status);

/* Nothing that was begun can change the host or the journal any more. */
bool workers_are_idle(const struct workers *workers);
size_t workers_count(const struct workers *workers);

#endif
