/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a serialized message must keep before protobuf-c may unpack it.
 *
 * protobuf-c unpacks recursively without a limit (200,000 nested messages in less than
 * 1 MB overflow the stack), allocates up to 45 times the size of the input when it is
 * made of empty sub-messages, does not look at UTF-8, and ends strings at a NUL. A
 * sub-message that comes again is merged with what came before, all of which is copied
 * each time: 1 MB can cost minutes. No encoder writes that, so it is refused.
 */

#ifndef COMMON_RPC_WIRE_CHECK_H
#define COMMON_RPC_WIRE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"

#define WIRE_DEPTH_MAX	  64	/* messages in messages */
#define WIRE_ELEMENTS_MAX 65536 /* fields in a whole message; a packed array counts once */

/* 0, or -1 with MALFORMED_MESSAGE naming the message and the field. */
int wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
	       struct err *err);

#endif
