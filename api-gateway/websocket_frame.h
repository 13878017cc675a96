/* SPDX-License-Identifier: Apache-2.0 */
/* The heads of WebSocket frames (RFC 6455, without extensions). Pure functions. */

#ifndef API_GATEWAY_WEBSOCKET_FRAME_H
#define API_GATEWAY_WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_FRAME_HEAD_MAX 14
#define WEBSOCKET_CONTROL_MAX	 125 /* bytes of a close, ping or pong */

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

struct websocket_frame {
	enum websocket_opcode opcode;
	bool final; /* the last of its message */
	uint8_t mask[4];
	uint64_t length;
};

/*
 * Reads a client's head. Returns its length, 0 when more bytes are needed, -EPROTO for what
 * no client may send: reserved bits or opcodes, no mask, a length that is not in its
 * shortest form, a control frame that is long or in parts.
 */
int websocket_frame_parse(const uint8_t *bytes, size_t length, struct websocket_frame *ret);

/* Writes a server's head: final, without a mask. Returns its length. */
size_t websocket_frame_format(enum websocket_opcode opcode, uint64_t length,
			      uint8_t to[WEBSOCKET_FRAME_HEAD_MAX]);

/* Masks or unmasks bytes that lie `offset` bytes behind the head. */
void websocket_frame_mask(const struct websocket_frame *frame, uint64_t offset, uint8_t *bytes,
			  size_t length);

static inline bool websocket_opcode_is_control(enum websocket_opcode opcode)
{
	return opcode & 8;
}

#endif
