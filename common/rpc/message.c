/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include "wire_check.h"

grpc_byte_buffer *message_pack(const ProtobufCMessage *message)
{
	grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
	grpc_byte_buffer *buffer;

	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

int message_unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
		   ProtobufCMessage **ret, struct err *err)
{
	grpc_byte_buffer_reader reader;
	ProtobufCMessage *message = NULL;
	grpc_slice bytes;
	int r;

	if (!grpc_byte_buffer_reader_init(&reader, buffer))
		return err_set(err, ERR_MALFORMED_MESSAGE, "%s: cannot be decompressed",
			       type->name);
	bytes = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);

	r = wire_check(type, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), err);
	if (r == 0)
		message = protobuf_c_message_unpack(type, NULL, GRPC_SLICE_LENGTH(bytes),
						    GRPC_SLICE_START_PTR(bytes));
	if (r == 0 && !message)
		r = err_set(err, ERR_MALFORMED_MESSAGE, "%s: a field has the wrong type",
			    type->name);
	grpc_slice_unref(bytes);
	if (message)
		*ret = message;
	return r;
}
