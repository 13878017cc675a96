/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's account of its workers.
 *
 * A worker that was given up is killed; until the kernel lets it die (state D) it counts as
 * stuck. The account bounds both.
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
};

/* Forks a worker. Fills reply; the descriptor for serve (the caller closes it), or -1. */
int workers_start(struct workers *workers, const struct settings *settings,
		  struct monitor_reply *reply);

/* An id that is no worker's (any more) is ignored: it may just have ended. */
void workers_give_up(struct workers *workers, uint64_t id);
void workers_give_up_all(struct workers *workers);

/* A child has ended. false: it was no worker. */
bool workers_reap(struct workers *workers, pid_t pid);

size_t workers_count(const struct workers *workers);
size_t workers_stuck(const struct workers *workers);

#endif
