/* SPDX-License-Identifier: Apache-2.0 */
#include "json_read.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base64.h"
#include "field_error.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json_check.h"
#include "proto_message.h"
#include "rfc3339.h"

SCOPED_DEFINE(cJSON *, cJSON_Delete);

static const struct json_limits limits = { .depth = 32, .values = 10000 };

struct reader {
	char path[128]; /* of the field at hand, cut when it is longer */
	struct err *err;
};

/* Appends ".name" (or "name" at the top); returns what to cut back to. */
static size_t path_push(struct reader *reader, const char *name)
{
	size_t length = strlen(reader->path);

	snprintf(reader->path + length, sizeof(reader->path) - length, "%s%s", length ? "." : "",
		 name);
	return length;
}

static size_t path_push_index(struct reader *reader, size_t index)
{
	size_t length = strlen(reader->path);

	snprintf(reader->path + length, sizeof(reader->path) - length, "[%zu]", index);
	return length;
}

static int no_memory(struct reader *reader)
{
	return err_sys(reader->err, ENOMEM, "cannot read the body");
}

/* The value as a message shows it. */
static struct field_quote describe_item(const cJSON *item)
{
	struct field_quote text = { "null" };

	if (cJSON_IsString(item))
		return field_quote(item->valuestring);
	if (cJSON_IsNumber(item))
		snprintf(text.s, sizeof(text.s), "%.17g", item->valuedouble);
	else if (cJSON_IsBool(item))
		snprintf(text.s, sizeof(text.s), "%s", cJSON_IsTrue(item) ? "true" : "false");
	else if (cJSON_IsArray(item))
		snprintf(text.s, sizeof(text.s), "a list");
	else if (cJSON_IsObject(item))
		snprintf(text.s, sizeof(text.s), "an object");
	return text;
}

static int fail_item(struct reader *reader, const struct field *field, const cJSON *item)
{
	return field_error(field, reader->path, describe_item(item).s, reader->err);
}

static int read_message(struct reader *reader, const struct message_table *table,
			const cJSON *object, ProtobufCMessage *message);

/* A whole number within [min, max]. */
static bool read_whole(const cJSON *item, double min, double max, double *ret)
{
	if (!cJSON_IsNumber(item) || item->valuedouble != trunc(item->valuedouble))
		return false;
	*ret = item->valuedouble;
	return *ret >= min && *ret <= max;
}

static bool read_number(ProtobufCType type, const cJSON *item, void *to)
{
	double number;

	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		if (!read_whole(item, INT32_MIN, INT32_MAX, &number))
			return false;
		*(int32_t *)to = (int32_t)number;
		return true;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (!read_whole(item, 0, UINT32_MAX, &number))
			return false;
		*(uint32_t *)to = (uint32_t)number;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		if (!read_whole(item, -(double)JSON_INTEGER_MAX, JSON_INTEGER_MAX, &number))
			return false;
		*(int64_t *)to = (int64_t)number;
		return true;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		if (!read_whole(item, 0, JSON_INTEGER_MAX, &number))
			return false;
		*(uint64_t *)to = (uint64_t)number;
		return true;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)to = item->valuedouble;
		return cJSON_IsNumber(item);
	case PROTOBUF_C_TYPE_FLOAT:
		*(float *)to = (float)item->valuedouble;
		return cJSON_IsNumber(item) && fabs(item->valuedouble) <= FLT_MAX;
	default:
		return false;
	}
}

static int read_timestamp(struct reader *reader, const struct field *field, const cJSON *item,
			  ProtobufCMessage *message)
{
	Google__Protobuf__Timestamp *time = (Google__Protobuf__Timestamp *)message;

	if (!cJSON_IsString(item) || rfc3339_parse(item->valuestring, &time->seconds, &time->nanos))
		return fail_item(reader, field, item);
	return 0;
}

/* The new message belongs to its parent before it is filled. */
static int read_contained(struct reader *reader, const struct field *field, const cJSON *item,
			  ProtobufCMessage **to)
{
	if (!*to)
		*to = proto_message_new(field->message->pb);
	if (!*to)
		return no_memory(reader);
	if (field->message->is_timestamp)
		return read_timestamp(reader, field, item, *to);
	if (!cJSON_IsObject(item))
		return fail_item(reader, field, item);
	return read_message(reader, field->message, item, *to);
}

static int read_bytes(struct reader *reader, const struct field *field, const cJSON *item,
		      ProtobufCBinaryData *to)
{
	int r;

	if (!cJSON_IsString(item))
		return fail_item(reader, field, item);
	r = base64_parse(item->valuestring, &to->data, &to->len);
	if (r == -ENOMEM)
		return no_memory(reader);
	return r ? fail_item(reader, field, item) : 0;
}

/* One value of the field's type into *to, which is zero or the type's default. */
static int read_value(struct reader *reader, const struct field *field, const cJSON *item, void *to)
{
	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return read_contained(reader, field, item, to);
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(reader, field, item, to);
	case PROTOBUF_C_TYPE_STRING:
		if (!cJSON_IsString(item))
			return fail_item(reader, field, item);
		return proto_set_string(to, item->valuestring) ? no_memory(reader) : 0;
	case PROTOBUF_C_TYPE_BOOL:
		if (!cJSON_IsBool(item))
			return fail_item(reader, field, item);
		*(protobuf_c_boolean *)to = cJSON_IsTrue(item);
		return 0;
	case PROTOBUF_C_TYPE_ENUM:
		if (!cJSON_IsString(item) || !field_enum_value(field, item->valuestring, to))
			return fail_item(reader, field, item);
		return 0;
	default:
		return read_number(field->pb->type, item, to) ? 0 : fail_item(reader, field, item);
	}
}

static int read_list(struct reader *reader, const struct field *field, const cJSON *list,
		     ProtobufCMessage *message)
{
	const cJSON *item;
	size_t index = 0;

	if (!cJSON_IsArray(list))
		return err_field(reader->err, reader->path, "%s is %s, must be a list",
				 reader->path, describe_item(list).s);
	cJSON_ArrayForEach(item, list)
	{
		size_t cut = path_push_index(reader, index++);
		void *element = proto_append(message, field);

		if (!element)
			return no_memory(reader);
		if (read_value(reader, field, item, element))
			return -1;
		reader->path[cut] = '\0';
	}
	return 0;
}

static int read_entry(struct reader *reader, const struct field *field, const cJSON *item,
		      ProtobufCMessage **element)
{
	const struct field *key = message_table_find(field->message, "key");
	const struct field *value = message_table_find(field->message, "value");

	*element = proto_message_new(field->message->pb);
	if (!*element)
		return no_memory(reader);
	if (proto_set_from_text(*element, key, reader->path, item->string, reader->err))
		return -1;
	return read_value(reader, value, item, proto_member(*element, value));
}

static int read_map(struct reader *reader, const struct field *field, const cJSON *object,
		    ProtobufCMessage *message)
{
	const cJSON *item;

	if (!cJSON_IsObject(object))
		return err_field(reader->err, reader->path, "%s is %s, must be an object",
				 reader->path, describe_item(object).s);
	cJSON_ArrayForEach(item, object)
	{
		size_t cut = path_push(reader, item->string);
		ProtobufCMessage **element = proto_append(message, field);

		if (!element)
			return no_memory(reader);
		if (read_entry(reader, field, item, element))
			return -1;
		reader->path[cut] = '\0';
	}
	return 0;
}

static int fail_unknown(struct reader *reader, const struct message_table *table, const char *name)
{
	char known[256];
	size_t used = 0;

	known[0] = '\0';
	for (unsigned i = 0; i < table->pb->n_fields && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
					 table->pb->fields[i].name);
	return err_field(reader->err, reader->path, "unknown field %s%s%s, known are: %s",
			 reader->path, reader->path[0] ? ": " : "", field_quote(name).s, known);
}

static int read_field(struct reader *reader, const struct field *field, const cJSON *item,
		      ProtobufCMessage *message)
{
	if (field->is_map)
		return read_map(reader, field, item, message);
	if (field->pb->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(reader, field, item, message);
	if (proto_is_taken(message, field))
		return err_field(reader->err, reader->path,
				 "%s cannot be given together with another choice of its kind",
				 reader->path);
	proto_mark_set(message, field); /* before: what is half read is freed with the message */
	return read_value(reader, field, item, proto_member(message, field));
}

static int read_message(struct reader *reader, const struct message_table *table,
			const cJSON *object, ProtobufCMessage *message)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, object)
	{
		const struct field *field = message_table_find(table, item->string);
		size_t cut;

		if (!field)
			return fail_unknown(reader, table, item->string);
		if (cJSON_IsNull(item))
			continue;
		cut = path_push(reader, field->pb->name);
		if (read_field(reader, field, item, message))
			return -1;
		reader->path[cut] = '\0';
	}
	return 0;
}

static int read_object(const char *text, size_t length, cJSON **ret, struct err *err)
{
	scoped(cJSON_Delete) cJSON *json = NULL;

	if (json_check(text, length, &limits, err))
		return -1;
	json = cJSON_ParseWithLength(text, length);
	if (!json)
		return err_sys(err, ENOMEM, "cannot read the body");
	if (!cJSON_IsObject(json))
		return err_set(err, ERR_INVALID_ARGUMENT, "the body is %s, must be an object",
			       describe_item(json).s);
	*ret = TAKE_PTR(json);
	return 0;
}

int json_read_empty(const char *text, size_t length, struct err *err)
{
	scoped(cJSON_Delete) cJSON *json = NULL;

	if (read_object(text, length, &json, err))
		return -1;
	if (json->child)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "unknown field %s, this request takes none",
			       field_quote(json->child->string).s);
	return 0;
}

int json_read(const struct message_table *table, const char *text, size_t length,
	      ProtobufCMessage **ret, struct err *err)
{
	struct reader reader = { .err = err };
	scoped(cJSON_Delete) cJSON *json = NULL;
	scoped(proto_message_free) ProtobufCMessage *message = NULL;

	if (read_object(text, length, &json, err))
		return -1;
	message = proto_message_new(table->pb);
	if (!message)
		return no_memory(&reader);
	if (read_message(&reader, table, json, message))
		return -1;
	*ret = TAKE_PTR(message);
	return 0;
}
