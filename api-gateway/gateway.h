/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to its answer: the route, the RPCs, the transcoding between.
 *
 * Immutable once it serves, but for the counters; used by all HTTP threads.
 */

#ifndef API_GATEWAY_GATEWAY_H
#define API_GATEWAY_GATEWAY_H

#include <stdatomic.h>

#include "common/err.h"

#include "auth.h"
#include "http.h"
#include "kept_answer.h"
#include "metrics.h"
#include "route.h"
#include "services.h"
#include "single_flight.h"
#include "traffic.h"

/* A route made of parts, and the readers who share it. */
struct join {
	struct gateway *gateway;
	const struct route *route;
	struct single_flight *flight; /* owned */
	struct kept_answer *kept;     /* owned */
};

struct gateway {
	struct services services; /* filled by the caller before gateway_init() */
	unsigned streams_max;
	struct auth *auth; /* borrowed; NULL: nobody is asked who they are */

	struct field_table *fields; /* owned */
	struct route_table routes;
	struct join *joins; /* owned; one for each route, unused but for joins */
	atomic_uint streams;
	struct traffic *traffic;	  /* owned */
	struct metrics *metrics;	  /* owned */
	const struct message_table *host; /* of GetHostResponse; borrowed */
	struct text openapi;		  /* owned */
};

int gateway_init(struct gateway *gateway, struct err *err);

/* Also ends the services' channels. Everything else has stopped using it. */
void gateway_done(struct gateway *gateway);

/* The http_handler; `user` is the gateway. */
void gateway_handle(struct exchange *exchange, void *user);

#endif
