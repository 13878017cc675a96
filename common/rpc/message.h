/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c messages to and from gRPC's byte buffers. */

#ifndef COMMON_RPC_MESSAGE_H
#define COMMON_RPC_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"
#include "core.h"

/* Freed with grpc_byte_buffer_destroy(). Never NULL: the core aborts without memory. */
grpc_byte_buffer *message_pack(const ProtobufCMessage *message);

/*
 * Checks, then unpacks. The buffer stays the caller's. Returns 0, or -1 with
 * MALFORMED_MESSAGE; *ret is freed with protobuf_c_message_free_unpacked().
 */
int message_unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
		   ProtobufCMessage **ret, struct err *err);

#endif
