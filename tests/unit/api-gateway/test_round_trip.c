/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message of the project's services, and one with a field of every kind, filled by
 * its descriptor with many different values: what is written as JSON reads back as the
 * same bytes on the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/json_check.h"
#include "api-gateway/json_read.h"
#include "api-gateway/json_write.h"
#include "api-gateway/proto_message.h"
#include "fixture.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"
#include "kinds.pb-c.h"

#define SEEDS	  100
#define DEPTH_MAX 3

struct filler {
	uint64_t state;
	unsigned depth;
};

static void fill_message(struct filler *filler, const struct message_table *table,
			 ProtobufCMessage *message);

static uint64_t next(struct filler *filler)
{
	filler->state = filler->state * 6364136223846793005u + 1442695040888963407u;
	return filler->state >> 11;
}

static int64_t next_integer(struct filler *filler, int64_t min, int64_t max)
{
	switch (next(filler) % 5) {
	case 0:
		return min;
	case 1:
		return max;
	case 2:
		return 0;
	default:
		return min + (int64_t)(next(filler) % ((uint64_t)(max - min) + 1));
	}
}

static void fill_string(struct filler *filler, char **to)
{
	static const char *const texts[] = {
		"",
		"a",
		"\"\\/",
		"\b\f\n\r\t\x01\x1f\x7f",
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		"null",
		"{}",
		"</script>",
		"\xe2\x80\xa8",
	};

	assert_int_equal(
		proto_set_string(to, texts[next(filler) % (sizeof(texts) / sizeof(texts[0]))]), 0);
}

static void fill_bytes(struct filler *filler, ProtobufCBinaryData *to)
{
	to->len = next(filler) % 7;
	if (to->len == 0)
		return;
	to->data = malloc(to->len);
	assert_non_null(to->data);
	for (size_t i = 0; i < to->len; i++)
		to->data[i] = (uint8_t)next(filler);
}

static void fill_contained(struct filler *filler, const struct message_table *table,
			   ProtobufCMessage **to)
{
	*to = proto_message_new(table->pb);
	assert_non_null(*to);
	if (table->is_timestamp) {
		Google__Protobuf__Timestamp *time = (Google__Protobuf__Timestamp *)*to;

		time->seconds = next_integer(filler, -62135596800, 253402300799);
		time->nanos = (int32_t)next_integer(filler, 0, 999999999);
		return;
	}
	filler->depth++;
	fill_message(filler, table, *to);
	filler->depth--;
}

/* Zero for an enum that has no texts. */
static int next_enum(struct filler *filler, const struct field *field)
{
	const ProtobufCEnumDescriptor *type = field->pb->descriptor;
	int value = type->values[next(filler) % type->n_values].value;

	return field_enum_text(field, value) ? value : 0;
}

static double next_double(struct filler *filler)
{
	static const double doubles[] = { 0.0, 1.5,	-1e300,	       1e-300,
					  0.1, 1.0 / 3, 123456789.125, 1e16 + 2 };

	return doubles[next(filler) % (sizeof(doubles) / sizeof(doubles[0]))];
}

static void fill_value(struct filler *filler, const struct field *field, void *to)
{
	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		*(int32_t *)to = (int32_t)next_integer(filler, INT32_MIN, INT32_MAX);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		*(uint32_t *)to = (uint32_t)next_integer(filler, 0, UINT32_MAX);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		*(int64_t *)to = next_integer(filler, -JSON_INTEGER_MAX, JSON_INTEGER_MAX);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*(uint64_t *)to = (uint64_t)next_integer(filler, 0, JSON_INTEGER_MAX);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		*(float *)to = (float)next_integer(filler, -1000000, 1000000) / 7;
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)to = next_double(filler);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)to = next(filler) % 2 == 0;
		break;
	case PROTOBUF_C_TYPE_ENUM:
		*(int *)to = next_enum(filler, field);
		break;
	case PROTOBUF_C_TYPE_STRING:
		fill_string(filler, to);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		fill_bytes(filler, to);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		fill_contained(filler, field->message, to);
		break;
	}
}

/* Keys of one map must differ: they count, or are the two truths. */
static void fill_entry(struct filler *filler, const struct field *field, size_t index,
		       ProtobufCMessage **to)
{
	const struct field *key = message_table_find(field->message, "key");
	const struct field *value = message_table_find(field->message, "value");
	char text[16];
	struct err err;

	*to = proto_message_new(field->message->pb);
	assert_non_null(*to);
	snprintf(text, sizeof(text), "%zu", index);
	if (key->pb->type == PROTOBUF_C_TYPE_BOOL)
		snprintf(text, sizeof(text), "%s", index ? "true" : "false");
	assert_int_equal(proto_set_from_text(*to, key, "key", text, &err), 0);
	fill_value(filler, value, proto_member(*to, value));
}

static void fill_repeated(struct filler *filler, const struct field *field,
			  ProtobufCMessage *message)
{
	size_t count = next(filler) % 3;

	for (size_t i = 0; i < count; i++) {
		void *element = proto_append(message, field);

		assert_non_null(element);
		if (field->is_map)
			fill_entry(filler, field, i, element);
		else
			fill_value(filler, field, element);
	}
}

static void fill_message(struct filler *filler, const struct message_table *table,
			 ProtobufCMessage *message)
{
	for (unsigned i = 0; i < table->pb->n_fields; i++) {
		const struct field *field = &table->fields[i];
		bool is_optional = field->pb->type == PROTOBUF_C_TYPE_MESSAGE ||
				   (field->pb->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);

		if (field->message && filler->depth >= DEPTH_MAX)
			continue;
		if (proto_is_taken(message, field) || (is_optional && next(filler) % 2))
			continue;
		if (field->pb->label == PROTOBUF_C_LABEL_REPEATED) {
			fill_repeated(filler, field, message);
		} else {
			fill_value(filler, field, proto_member(message, field));
			proto_mark_set(message, field);
		}
	}
}

static void compare(const ProtobufCMessage *a, const ProtobufCMessage *b, const char *json)
{
	size_t size = protobuf_c_message_get_packed_size(a);
	scoped_free uint8_t *left = malloc(size + 1);
	scoped_free uint8_t *right = malloc(size + 1);

	assert_non_null(left);
	assert_non_null(right);
	if (protobuf_c_message_get_packed_size(b) != size)
		fail_msg("not the same size on the wire: %s", json);
	protobuf_c_message_pack(a, left);
	protobuf_c_message_pack(b, right);
	if (memcmp(left, right, size) != 0)
		fail_msg("not the same on the wire: %s", json);
}

static void round_trip(const struct message_table *table, uint64_t seed)
{
	scoped(proto_message_free) ProtobufCMessage *message = proto_message_new(table->pb);
	scoped(proto_message_free) ProtobufCMessage *back = NULL;
	scoped_text struct text json = { 0 };
	struct filler filler = { .state = seed * 2654435761u + 1 };
	struct err err;

	assert_non_null(message);
	fill_message(&filler, table, message);
	if (json_write(&json, table, message, &err))
		fail_msg("%s cannot be written: %s", table->pb->name, err.message);
	if (json_read(table, json.bytes, json.length, &back, &err))
		fail_msg("%s cannot be read back: %s: %s", table->pb->name, err.message,
			 json.bytes);
	compare(message, back, json.bytes);
}

static void round_trips(struct field_table *fields, const ProtobufCMessageDescriptor *type)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		round_trip(fixture_message(fields, type), seed);
}

static void every_message_of_the_services(void **state)
{
	const ProtobufCServiceDescriptor *const services[] = {
		&hypeman__gpu__v1__gpu_service__descriptor,
		&hypeman__instance__v1__instance_service__descriptor,
	};
	struct field_table *fields = fixture_fields();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (unsigned j = 0; j < services[i]->n_methods; j++) {
			round_trips(fields, services[i]->methods[j].input);
			round_trips(fields, services[i]->methods[j].output);
		}
	}
	field_table_free(fields);
}

static void fields_of_every_kind(void **state)
{
	struct field_table *fields = fixture_fields();

	(void)state;
	round_trips(fields, &test__kinds__v1__kinds__descriptor);
	field_table_free(fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_of_the_services),
		cmocka_unit_test(fields_of_every_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
