/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_check.h"

#include <stdbool.h>

#include "utf8.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

#define FIELD_NUMBER_MAX ((1u << 29) - 1)
#define FIELDS_MAX	 256 /* of a message type whose sub-messages can be checked */

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

struct check {
	unsigned depth;
	unsigned elements;
	struct err *err;
};

/* The message that is looked at: its type, and which of its sub-messages have come. */
struct level {
	const ProtobufCMessageDescriptor *type;
	uint64_t seen[FIELDS_MAX / 64]; /* a bit for each field */
};

static int refuse(struct check *check, const ProtobufCMessageDescriptor *type,
		  const ProtobufCFieldDescriptor *field, const char *why)
{
	return err_set(check->err, ERR_MALFORMED_MESSAGE, "%s%s%s: %s", type->name,
		       field ? "." : "", field ? field->name : "", why);
}

static bool read_varint(struct cursor *cursor, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
		uint8_t byte = *cursor->at++;

		value |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *cursor, uint64_t size)
{
	if (size > (uint64_t)(cursor->end - cursor->at))
		return false;
	cursor->at += size;
	return true;
}

/* Whether a sub-message that may come once comes for the first time. */
static bool is_first(struct level *level, const ProtobufCFieldDescriptor *field)
{
	size_t index = (size_t)(field - level->type->fields);
	uint64_t bit = UINT64_C(1) << (index % 64);
	bool first;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return true;
	if (index >= FIELDS_MAX)
		return false;
	first = !(level->seen[index / 64] & bit);
	level->seen[index / 64] |= bit;
	return first;
}

static int check_message(struct check *check, const ProtobufCMessageDescriptor *type,
			 struct cursor cursor);

/* A length-delimited field whose content is `content`. */
static int check_content(struct check *check, struct level *level,
			 const ProtobufCFieldDescriptor *field, struct cursor content)
{
	size_t size = (size_t)(content.end - content.at);
	int r;

	if (!field)
		return 0;
	if (field->type == PROTOBUF_C_TYPE_STRING &&
	    utf8_valid_length((const char *)content.at, size) != size)
		return refuse(check, level->type, field,
			      "text must be UTF-8 without NUL characters");
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	if (!is_first(level, field))
		return refuse(check, level->type, field, "comes more than once");
	if (++check->depth > WIRE_DEPTH_MAX)
		return refuse(check, level->type, field,
			      "messages are nested deeper than 64 levels");
	r = check_message(check, field->descriptor, content);
	check->depth--;
	return r;
}

static int check_field(struct check *check, struct level *level, struct cursor *cursor)
{
	const ProtobufCMessageDescriptor *type = level->type;
	const ProtobufCFieldDescriptor *field;
	uint64_t tag, value;
	bool whole;

	if (!read_varint(cursor, &tag) || (tag >> 3) == 0 || (tag >> 3) > FIELD_NUMBER_MAX)
		return refuse(check, type, NULL, "not a protobuf message (bad field number)");
	if (++check->elements > WIRE_ELEMENTS_MAX)
		return refuse(check, type, NULL, "more than 65536 elements in one message");
	field = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
	switch (tag & 7) {
	case WIRE_VARINT:
		whole = read_varint(cursor, &value);
		break;
	case WIRE_FIXED64:
		whole = skip(cursor, 8);
		break;
	case WIRE_FIXED32:
		whole = skip(cursor, 4);
		break;
	case WIRE_BYTES:
		whole = read_varint(cursor, &value) && skip(cursor, value);
		if (whole)
			return check_content(check, level, field,
					     (struct cursor){ cursor->at - value, cursor->at });
		break;
	default:
		return refuse(check, type, field, "groups are not supported");
	}
	return whole ? 0 : refuse(check, type, field, "the message ends inside a field");
}

static int check_message(struct check *check, const ProtobufCMessageDescriptor *type,
			 struct cursor cursor)
{
	struct level level = { .type = type };

	while (cursor.at < cursor.end)
		if (check_field(check, &level, &cursor))
			return -1;
	return 0;
}

int wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
	       struct err *err)
{
	struct check check = { .depth = 1, .err = err };

	return check_message(&check, type, (struct cursor){ data, data + size });
}
