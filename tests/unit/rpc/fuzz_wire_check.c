/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: what passes the check can be unpacked within bounds, and what was unpacked
 * and packed again passes too. The first byte chooses the message type.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/rpc/status.h"
#include "common/rpc/wire_check.h"
#include "google/rpc/status.pb-c.h"

#include "echo.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size + 1);
	struct err err;

	if (!packed)
		return;
	protobuf_c_message_pack(message, packed);
	if (wire_check(message->descriptor, packed, size, &err))
		abort();
	free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		&hypeman__test__v1__echo_request__descriptor,
		&google__rpc__status__descriptor,
	};
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *message;
	struct err err;

	if (size == 0)
		return 0;
	type = types[data[0] % 2];
	if (data[0] % 2)
		status_details_unpack(5, data + 1, size - 1, &err);
	if (wire_check(type, data + 1, size - 1, &err))
		return 0;
	message = protobuf_c_message_unpack(type, NULL, size - 1, data + 1);
	if (message)
		check_again(message);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
