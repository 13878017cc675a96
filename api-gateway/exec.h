/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a guest, over a WebSocket.
 *
 * The client's first message is a text, an ExecStart without `id`. Then its binary messages
 * are input; its texts are {"resize":{"rows":24,"cols":80}} or {"stdin_end":true}. Ours are
 * output, binary, and at the end the text {"exitCode":0}, with "error" if the command could
 * not run, and a close with code 1000. What goes wrong is told by the text
 * {"code":"...","message":"..."} and another code. A client that goes takes the command with
 * it.
 *
 * Either direction waits when its reader does not read, and neither holds up the other.
 */

#ifndef API_GATEWAY_EXEC_H
#define API_GATEWAY_EXEC_H

#include "call.h"
#include "exchange.h"

/* 0 when the exchange was answered; returns when the session has ended. */
int exec_run(struct exchange *exchange, const struct services *services, const struct route *route,
	     const struct call_input *input, struct err *err);

#endif
