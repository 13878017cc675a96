/* SPDX-License-Identifier: Apache-2.0 */
/* How a request becomes a WebSocket. */

#ifndef API_GATEWAY_WEBSOCKET_HANDSHAKE_H
#define API_GATEWAY_WEBSOCKET_HANDSHAKE_H

#include "common/err.h"

#include "request.h"

struct websocket_key {
	char s[29]; /* base64 of 20 bytes */
};

/*
 * Whether the request asks for a WebSocket of version 13; INVALID_ARGUMENT otherwise. *ret
 * is the Sec-WebSocket-Accept of the answer.
 */
int websocket_handshake(const struct request *request, struct websocket_key *ret, struct err *err);

#endif
