/* SPDX-License-Identifier: Apache-2.0 */
/* The host's figures as messages. */

#ifndef GPU_AGENT_SERVE_HOST_WIRE_H
#define GPU_AGENT_SERVE_HOST_WIRE_H

#include "gpu_wire.h"
#include "host_view.h"

/* The answer to GetHost. */
int host_reply(struct rpc_call *call, struct host_view *view, const struct wire_roots *roots,
	       struct err *err);

/* One message of WatchHost; fails when the caller has gone. */
int host_send(struct rpc_call *call, struct host_view *view, const struct wire_roots *roots,
	      struct err *err);

#endif
