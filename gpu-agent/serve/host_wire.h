/* SPDX-License-Identifier: Apache-2.0 */
/* The host's figures as messages. */

#ifndef GPU_AGENT_SERVE_HOST_WIRE_H
#define GPU_AGENT_SERVE_HOST_WIRE_H

#include <pthread.h>

#include "gpu_wire.h"
#include "host_view.h"

/*
 * The latest answer to GetHost. It is packed once for all readers of one generation: with many
 * GPUs that is most of what a reader would cost.
 */
struct host_answer {
	pthread_mutex_t lock;
	uint64_t generation;	   /* of the packed one */
	struct rpc_packed *packed; /* owned; NULL: none yet */
};

#define HOST_ANSWER_NONE ((struct host_answer){ .lock = PTHREAD_MUTEX_INITIALIZER })

void host_answer_done(struct host_answer *answer); /* after the last call */
static inline void host_answer_done_scoped(struct host_answer *answer)
{
	host_answer_done(answer);
}

/* Answers GetHost. */
int host_reply(struct rpc_call *call, struct host_answer *answer, struct host_view *view,
	       const struct wire_roots *roots, struct err *err);

/* One message of WatchHost; fails when the caller has gone. */
int host_send(struct rpc_call *call, struct host_view *view, const struct wire_roots *roots,
	      struct err *err);

#endif
