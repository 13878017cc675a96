/* SPDX-License-Identifier: Apache-2.0 */
/* Routes that are one RPC, and the parts of those that join several. */

#ifndef API_GATEWAY_CALL_H
#define API_GATEWAY_CALL_H

#include "common/err.h"

#include "route.h"
#include "services.h"
#include "text.h"

/* What a request says, taken apart. */
struct call_input {
	const struct url_path *path;
	const char *query; /* raw; NULL without one */
	const struct text *body;
	const char *request_id; /* by which the service knows the request; empty: none */
	const char *principal;	/* who asks, as the token says; empty: nobody was asked */
};

/* Builds the request of the route's RPC. *ret is freed with proto_message_free(). */
int call_build_request(const struct route *route, const struct call_input *input,
		       ProtobufCMessage **ret, struct err *err);

/* Appends what the route's answer shows of the message. */
int call_write_answer(const struct services *services, const struct route *route,
		      const ProtobufCMessage *answer, struct text *ret, struct err *err);

/* Calls, and appends the JSON answer (nothing for a route without one). */
int call_run(const struct services *services, const struct route *route,
	     const struct call_input *input, struct text *ret, struct err *err);

/* Appends the object that the parts after parts[0], a ROUTE_JOIN, make. */
int call_run_join(const struct services *services, const struct route *join, size_t route_count,
		  int timeout_ms, struct text *ret, struct err *err);

#endif
