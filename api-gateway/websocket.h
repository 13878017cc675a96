/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of a WebSocket, on a socket that was upgraded already.
 *
 * civetweb has one too, but it reads each frame into memory whole, whatever length the
 * client gives it. Here a binary message is handed on in the pieces in which it comes, and
 * only texts are collected, up to a limit.
 *
 * One thread receives, any thread sends.
 */

#ifndef API_GATEWAY_WEBSOCKET_H
#define API_GATEWAY_WEBSOCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/scoped.h"

#include "websocket_frame.h"

#define WEBSOCKET_TEXT_MAX   65536
#define WEBSOCKET_PIECE_MAX  16384 /* of a binary message, as it is handed on */
#define WEBSOCKET_PATIENCE_S 60	   /* with a client that takes nothing */

enum websocket_code {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_PROTOCOL_ERROR = 1002,
	WEBSOCKET_BAD_TEXT = 1007,
	WEBSOCKET_REFUSED = 1008,
	WEBSOCKET_TOO_BIG = 1009,
	WEBSOCKET_FAILED = 1011,
	WEBSOCKET_TRY_LATER = 1013,
};

struct websocket;

/* `fd` and `stopping` (set when the gateway stops) outlive it. NULL: no memory. */
struct websocket *websocket_new(int fd, const atomic_bool *stopping);
void websocket_free(struct websocket *socket);
SCOPED_DEFINE(struct websocket *, websocket_free);

/*
 * A text message, a control frame, or the next piece of a binary message. 0 with what was
 * received, valid until the next call, or
 *     -ETIMEDOUT  nothing within timeout_ms
 *     -EPIPE      the client has gone, or the gateway stops
 *     -EPROTO     it broke the protocol
 *     -EMSGSIZE   a text of more than WEBSOCKET_TEXT_MAX bytes
 *     -EILSEQ     a text that is no UTF-8
 *     -ENOMEM
 */
struct websocket_message {
	enum websocket_opcode opcode;
	const uint8_t *bytes;
	size_t length;
};
int websocket_receive(struct websocket *socket, int timeout_ms, struct websocket_message *ret);

/* The code that tells the client of such a failure. */
enum websocket_code websocket_code_of(int error);

/*
 * One message or control frame. Waits while the client takes nothing: 0, or -EPIPE when it
 * has gone, took nothing for WEBSOCKET_PATIENCE_S, or the gateway stops.
 */
int websocket_send(struct websocket *socket, enum websocket_opcode opcode, const void *bytes,
		   size_t length);

/*
 * Answers a ping, without waiting for who is sending at the time: it sends the answer after its
 * own message. Of several the last is sent. `length` is at most WEBSOCKET_CONTROL_MAX.
 */
void websocket_pong(struct websocket *socket, const void *bytes, size_t length);

/* As websocket_send(), but -EAGAIN when another thread is sending. */
int websocket_try_send(struct websocket *socket, enum websocket_opcode opcode, const void *bytes,
		       size_t length);

/* Says goodbye, and waits two seconds for the client to do the same. */
void websocket_close(struct websocket *socket, enum websocket_code code, const char *reason);

#endif
