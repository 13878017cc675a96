/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming RPCs as server-sent events: `data: <JSON>` for each message, a comment every
 * 15 s of silence, `event: error` with the problem if the stream breaks later on. A
 * stream that fails at once is answered like any other request.
 */

#ifndef API_GATEWAY_SSE_H
#define API_GATEWAY_SSE_H

#include <protobuf-c/protobuf-c.h>

#include "http.h"
#include "route.h"
#include "services.h"

/* Answers the exchange; returns when the stream has ended. */
void sse_run(struct exchange *exchange, const struct services *services, const struct route *route,
	     const ProtobufCMessage *request);

#endif
