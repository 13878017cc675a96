/* SPDX-License-Identifier: Apache-2.0 */
#include "json_write.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json_check.h"
#include "proto_message.h"
#include "rfc3339.h"

static int fail(const struct field *field, const char *what, struct err *err)
{
	return err_set(err, ERR_INTERNAL, "the answer's field %s %s", field->pb->name, what);
}

static int write_signed(struct text *to, const struct field *field, int64_t value, struct err *err)
{
	if (value > JSON_INTEGER_MAX || value < -JSON_INTEGER_MAX)
		return fail(field, "is too large for a JSON number", err);
	text_append_format(to, "%" PRId64, value);
	return 0;
}

static int write_unsigned(struct text *to, const struct field *field, uint64_t value,
			  struct err *err)
{
	if (value > JSON_INTEGER_MAX)
		return fail(field, "is too large for a JSON number", err);
	text_append_format(to, "%" PRIu64, value);
	return 0;
}

/* The fewest digits that read back as the same number. */
static int write_double(struct text *to, const struct field *field, double value, int digits,
			int digits_max, struct err *err)
{
	char copy[32];

	if (!isfinite(value))
		return fail(field, "is not a finite number", err);
	do
		snprintf(copy, sizeof(copy), "%.*g", digits, value);
	while (digits++ < digits_max && strtod(copy, NULL) != value);
	text_append_string(to, copy);
	if (fabs(value) > (double)JSON_INTEGER_MAX && !strpbrk(copy, ".e"))
		text_append_string(to, ".0"); /* no inexact integer */
	return 0;
}

static int write_timestamp(struct text *to, const struct field *field,
			   const ProtobufCMessage *message, struct err *err)
{
	const Google__Protobuf__Timestamp *time = (const Google__Protobuf__Timestamp *)message;
	struct rfc3339_text text;

	if (rfc3339_format(time->seconds, time->nanos, &text))
		return fail(field, "is not a time from year 1 to 9999", err);
	text_append_format(to, "\"%s\"", text.s);
	return 0;
}

/* An entry of a map need not say its value: it is the empty message then. */
static int write_contained(struct text *to, const struct field *field,
			   const ProtobufCMessage *message, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *empty = NULL;

	if (!message) {
		empty = proto_message_new(field->message->pb);
		if (!empty)
			return err_sys(err, ENOMEM, "cannot write the answer");
		message = empty;
	}
	if (field->message->is_timestamp)
		return write_timestamp(to, field, message, err);
	return json_write(to, field->message, message, err);
}

static void write_enum(struct text *to, const struct field *field, int value)
{
	const char *text = field_enum_text(field, value);

	if (text)
		text_append_json_string(to, text);
	else
		text_append_string(to, "null"); /* a value newer than this program */
}

static void write_bytes(struct text *to, const ProtobufCBinaryData *bytes)
{
	text_append_string(to, "\"");
	base64_append(to, bytes->data, bytes->len);
	text_append_string(to, "\"");
}

static int write_value(struct text *to, const struct field *field, const void *value,
		       struct err *err)
{
	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return write_signed(to, field, *(const int32_t *)value, err);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return write_signed(to, field, *(const int64_t *)value, err);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return write_unsigned(to, field, *(const uint32_t *)value, err);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return write_unsigned(to, field, *(const uint64_t *)value, err);
	case PROTOBUF_C_TYPE_FLOAT:
		return write_double(to, field, *(const float *)value, 6, 9, err);
	case PROTOBUF_C_TYPE_DOUBLE:
		return write_double(to, field, *(const double *)value, 15, 17, err);
	case PROTOBUF_C_TYPE_BOOL:
		text_append_string(to, *(const protobuf_c_boolean *)value ? "true" : "false");
		return 0;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(to, field, *(const int *)value);
		return 0;
	case PROTOBUF_C_TYPE_STRING:
		text_append_json_string(to, *(char *const *)value);
		return 0;
	case PROTOBUF_C_TYPE_BYTES:
		write_bytes(to, value);
		return 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return write_contained(to, field, *(ProtobufCMessage *const *)value, err);
	}
	return fail(field, "has an unknown type", err);
}

static int write_list(struct text *to, const struct field *field, const ProtobufCMessage *message,
		      struct err *err)
{
	size_t count = proto_count(message, field);

	text_append_string(to, "[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			text_append_string(to, ",");
		if (write_value(to, field, proto_element(message, field, i), err))
			return -1;
	}
	text_append_string(to, "]");
	return 0;
}

/* JSON keys are texts: those of other types are quoted. */
static int write_key(struct text *to, const struct field *key, const ProtobufCMessage *entry,
		     struct err *err)
{
	bool quote = key->pb->type != PROTOBUF_C_TYPE_STRING;
	int r;

	if (quote)
		text_append_string(to, "\"");
	r = write_value(to, key, proto_member(entry, key), err);
	text_append_string(to, quote ? "\":" : ":");
	return r;
}

static int write_map(struct text *to, const struct field *field, const ProtobufCMessage *message,
		     struct err *err)
{
	const struct field *key = message_table_find(field->message, "key");
	const struct field *value = message_table_find(field->message, "value");
	size_t count = proto_count(message, field);

	text_append_string(to, "{");
	for (size_t i = 0; i < count; i++) {
		const ProtobufCMessage *entry =
			*(ProtobufCMessage **)proto_element(message, field, i);

		if (i > 0)
			text_append_string(to, ",");
		if (write_key(to, key, entry, err) ||
		    write_value(to, value, proto_member(entry, value), err))
			return -1;
	}
	text_append_string(to, "}");
	return 0;
}

int json_write_field(struct text *to, const struct field *field, const ProtobufCMessage *message,
		     struct err *err)
{
	if (field->is_map)
		return write_map(to, field, message, err);
	if (field->pb->label == PROTOBUF_C_LABEL_REPEATED)
		return write_list(to, field, message, err);
	if (proto_is_set(message, field))
		return write_value(to, field, proto_member(message, field), err);
	text_append_string(to, "null");
	return 0;
}

static bool is_left_out(const struct field *field, const ProtobufCMessage *message)
{
	if (field->pb->label == PROTOBUF_C_LABEL_REPEATED)
		return field->none_when_empty && proto_count(message, field) == 0;
	if (field->pb->type == PROTOBUF_C_TYPE_ENUM &&
	    !field_enum_text(field, *(int *)proto_member(message, field)))
		return true;
	return !proto_is_set(message, field) && !field->null_when_unset;
}

int json_write_members(struct text *to, const struct message_table *table,
		       const ProtobufCMessage *message, bool *first, struct err *err)
{
	for (unsigned i = 0; i < table->pb->n_fields; i++) {
		const struct field *field = &table->fields[i];

		if (is_left_out(field, message))
			continue;
		text_append_format(to, "%s\"%s\":", *first ? "" : ",", field->pb->name);
		*first = false;
		if (json_write_field(to, field, message, err))
			return -1;
	}
	return 0;
}

int json_write(struct text *to, const struct message_table *table, const ProtobufCMessage *message,
	       struct err *err)
{
	bool first = true;

	text_append_string(to, "{");
	if (json_write_members(to, table, message, &first, err))
		return -1;
	text_append_string(to, "}");
	return 0;
}
