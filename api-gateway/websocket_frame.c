/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket_frame.h"

#include <errno.h>
#include <string.h>

#define FINAL	 0x80
#define RESERVED 0x70
#define MASKED	 0x80

static bool opcode_is_known(unsigned opcode)
{
	return opcode <= WEBSOCKET_BINARY ||
	       (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

/* The big-endian number of the extended length; 0 bytes: the short one. */
static uint64_t read_length(const uint8_t *bytes, size_t size)
{
	uint64_t length = 0;

	for (size_t i = 0; i < size; i++)
		length = length << 8 | bytes[i];
	return length;
}

int websocket_frame_parse(const uint8_t *bytes, size_t length, struct websocket_frame *ret)
{
	size_t extended;
	unsigned opcode;

	if (length < 2)
		return 0;
	opcode = bytes[0] & 0x0f;
	if ((bytes[0] & RESERVED) || !opcode_is_known(opcode) || !(bytes[1] & MASKED))
		return -EPROTO;
	ret->opcode = opcode;
	ret->final = bytes[0] & FINAL;
	ret->length = bytes[1] & 0x7f;
	if (websocket_opcode_is_control(opcode) &&
	    (!ret->final || ret->length > WEBSOCKET_CONTROL_MAX))
		return -EPROTO;
	extended = ret->length == 126 ? 2 : ret->length == 127 ? 8 : 0;
	if (length < 2 + extended + sizeof(ret->mask))
		return 0;
	if (extended > 0)
		ret->length = read_length(bytes + 2, extended);
	if ((extended == 2 && ret->length < 126) || (extended == 8 && ret->length < 0x10000) ||
	    ret->length > INT64_MAX)
		return -EPROTO;
	memcpy(ret->mask, bytes + 2 + extended, sizeof(ret->mask));
	return (int)(2 + extended + sizeof(ret->mask));
}

size_t websocket_frame_format(enum websocket_opcode opcode, uint64_t length,
			      uint8_t to[WEBSOCKET_FRAME_HEAD_MAX])
{
	size_t extended = length < 126 ? 0 : length < 0x10000 ? 2 : 8;

	to[0] = (uint8_t)(FINAL | opcode);
	to[1] = (uint8_t)(extended == 0 ? length : extended == 2 ? 126 : 127);
	for (size_t i = 0; i < extended; i++)
		to[2 + i] = (uint8_t)(length >> 8 * (extended - 1 - i));
	return 2 + extended;
}

void websocket_frame_mask(const struct websocket_frame *frame, uint64_t offset, uint8_t *bytes,
			  size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] ^= frame->mask[(offset + i) % sizeof(frame->mask)];
}
