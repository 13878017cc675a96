/* SPDX-License-Identifier: Apache-2.0 */
/* Routes that are one RPC which may take minutes: given up when the client goes. */

#ifndef API_GATEWAY_LONG_CALL_H
#define API_GATEWAY_LONG_CALL_H

#include "call.h"
#include "exchange.h"

/*
 * As call_run(), in the time that the request's `timeout` and a call may take together.
 * CANCELLED when the client went, UNAVAILABLE when the gateway stops.
 */
int long_call_run(struct exchange *exchange, const struct services *services,
		  const struct route *route, const struct call_input *input, struct text *ret,
		  struct err *err);

#endif
