/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message off the wire to JSON and back. The first byte chooses the type, the rest is what a
 * service sent. What can be written is JSON by the strict rules (but for the keys of a map, which
 * the services give once), and reads as a message that is written in the same way again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api-gateway/json_check.h"
#include "api-gateway/json_read.h"
#include "api-gateway/json_write.h"
#include "api-gateway/proto_message.h"
#include "common/rpc/wire_check.h"
#include "fixture.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"
#include "kinds.pb-c.h"

/* What an answer may be, and what a request may. */
static const struct json_limits any = { .depth = 2 * WIRE_DEPTH_MAX + 2, .values = 1u << 20 };
static const struct json_limits readable = { .depth = 32, .values = 10000 };

static const ProtobufCMessageDescriptor *const types[] = {
	&test__kinds__v1__kinds__descriptor,
	&hypeman__gpu__v1__get_host_response__descriptor,
	&hypeman__instance__v1__instance_spec__descriptor,
	&hypeman__instance__v1__get_instance_response__descriptor,
	&hypeman__instance__v1__get_resources_response__descriptor,
};

#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

static void round_trip(const struct message_table *table, const struct text *first)
{
	ProtobufCMessage *back = NULL;
	struct text second = { 0 };
	struct err err;

	if (json_check(first->bytes, first->length, &readable, &err))
		return;
	if (json_read(table, first->bytes, first->length, &back, &err) ||
	    json_write(&second, table, back, &err) || strcmp(first->bytes, second.bytes) != 0)
		abort();
	proto_message_free(back);
	text_done(&second);
}

static void transcode(const struct message_table *table, const ProtobufCMessage *message)
{
	struct text text = { 0 };
	struct err err;

	if (json_write(&text, table, message, &err) == 0) {
		if (json_check(text.bytes, text.length, &any, &err) == 0)
			round_trip(table, &text);
		else if (!strstr(err.message, "is twice in one object"))
			abort();
	}
	text_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct message_table *tables[TYPE_COUNT];
	static struct field_table *fields; /* until the program ends */
	const struct message_table *table;
	ProtobufCMessage *message;
	struct err err;

	if (!fields) {
		fields = fixture_fields();
		for (size_t i = 0; i < TYPE_COUNT; i++)
			tables[i] = fixture_message(fields, types[i]);
	}
	if (size == 0)
		return 0;
	table = tables[data[0] % TYPE_COUNT];
	if (wire_check(table->pb, data + 1, size - 1, &err))
		return 0;
	message = protobuf_c_message_unpack(table->pb, NULL, size - 1, data + 1);
	if (message)
		transcode(table, message);
	proto_message_free(message);
	return 0;
}
