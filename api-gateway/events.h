/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /events: what happens to instances and images (instance-svc's WatchEvents) and changes
 * of the GPUs (gpu-agent's WatchHost, as type "gpu.changed") in one stream of server-sent
 * events, each with an id. A client that comes again with Last-Event-ID misses nothing that
 * instance-svc still keeps; what it may have missed beyond that is one "events.lost". The
 * stream ends with `event: error` when a service goes: then the client comes again.
 */

#ifndef API_GATEWAY_EVENTS_H
#define API_GATEWAY_EVENTS_H

#include "common/err.h"

#include "call.h"
#include "exchange.h"
#include "field_table.h"
#include "route.h"
#include "services.h"

/* Answers the exchange (0), or leaves it to be refused with *err (-1). */
int events_run(struct exchange *exchange, const struct services *services,
	       const struct route *route, const struct message_table *host,
	       const struct call_input *input, struct err *err);

#endif
