/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thread of a client process that reads completions, and the queue it reads:
 * callers sleep until it wakes them. (With a queue per caller, connections made no
 * progress between calls, and eight callers got a third fewer calls through.)
 */

#ifndef COMMON_RPC_POLLER_H
#define COMMON_RPC_POLLER_H

#include <stdatomic.h>

#include "core.h"

/* The queue for calls; starts the thread at first use. NULL when there can be none. */
grpc_completion_queue *poller_queue(void);

/* Joins the thread; every call has ended. */
void poller_stop(void);

/* A tag that one thread waits for. Lives on that thread's stack. */
struct poller_wait {
	struct core_tag tag;
	atomic_int done;
};

void poller_wait_init(struct poller_wait *wait);
void poller_wait(struct poller_wait *wait);

#endif
