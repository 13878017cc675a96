/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway counts about its requests, for GET /metrics. Written by any thread,
 * without locks.
 *
 * The number of series is bounded whatever clients send: routes are named by their
 * patterns, methods that are not HTTP's are "other", and a path that fits no pattern, or
 * was refused before it was looked at, has the route "".
 */

#ifndef API_GATEWAY_TRAFFIC_H
#define API_GATEWAY_TRAFFIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/scoped.h"

#include "route.h"
#include "text.h"

struct traffic_of_route;

struct traffic {
	struct route_table routes;
	struct traffic_of_route *of; /* owned; one for each route, and one for no route */
	atomic_uint connections;     /* open now, kept by the server */
	atomic_ullong malformed;     /* refused by the HTTP parser, kept by the server */
};

/* NULL: out of memory. `routes` outlive it. */
struct traffic *traffic_new(struct route_table routes);
void traffic_free(struct traffic *traffic);
SCOPED_DEFINE(struct traffic *, traffic_free);

/* A request was answered. `route` is of the table, or NULL. */
void traffic_count(struct traffic *traffic, const struct route *route, const char *method,
		   int status, uint64_t duration_us);

/* Appends the families of what was counted. */
void traffic_write(struct traffic *traffic, struct text *to);

#endif
