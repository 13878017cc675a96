/* SPDX-License-Identifier: Apache-2.0 */
#include "proto_message.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field_error.h"
#include "json_check.h"

ProtobufCMessage *proto_message_new(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = malloc(type->sizeof_message);

	if (message)
		protobuf_c_message_init(type, message);
	return message;
}

void proto_message_free(ProtobufCMessage *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

void *proto_member(const ProtobufCMessage *message, const struct field *field)
{
	return (char *)(uintptr_t)message + field->pb->offset;
}

/* size_t of a repeated field, the case of a oneof. */
static void *quantifier(const ProtobufCMessage *message, const struct field *field)
{
	return (char *)(uintptr_t)message + field->pb->quantifier_offset;
}

static size_t element_size(const struct field *field)
{
	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 8; /* 64-bit numbers and pointers */
	}
}

size_t proto_count(const ProtobufCMessage *message, const struct field *field)
{
	return *(size_t *)quantifier(message, field);
}

void *proto_element(const ProtobufCMessage *message, const struct field *field, size_t i)
{
	char *array = *(char **)proto_member(message, field);

	return array + i * element_size(field);
}

void *proto_append(ProtobufCMessage *message, const struct field *field)
{
	char **array = proto_member(message, field);
	size_t *count = quantifier(message, field);
	size_t size = element_size(field);
	void *element;

	if ((*count & (*count - 1)) == 0) { /* 0 or a power of two: full */
		char *grown = realloc(*array, (*count ? *count * 2 : 1) * size);

		if (!grown)
			return NULL;
		*array = grown;
	}
	element = *array + *count * size;
	memset(element, 0, size);
	(*count)++;
	return element;
}

static bool in_oneof(const struct field *field)
{
	return field->pb->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

bool proto_is_set(const ProtobufCMessage *message, const struct field *field)
{
	if (in_oneof(field))
		return *(uint32_t *)quantifier(message, field) == field->pb->id;
	if (field->pb->type == PROTOBUF_C_TYPE_MESSAGE &&
	    field->pb->label != PROTOBUF_C_LABEL_REPEATED)
		return *(void **)proto_member(message, field) != NULL;
	return true;
}

bool proto_is_taken(const ProtobufCMessage *message, const struct field *field)
{
	uint32_t which;

	if (!in_oneof(field))
		return false;
	which = *(uint32_t *)quantifier(message, field);
	return which != 0 && which != field->pb->id;
}

void proto_mark_set(ProtobufCMessage *message, const struct field *field)
{
	if (in_oneof(field))
		*(uint32_t *)quantifier(message, field) = field->pb->id;
}

int proto_set_string(void *member, const char *text)
{
	char **string = member;
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	if (*string != protobuf_c_empty_string)
		free(*string);
	*string = copy;
	return 0;
}

/* In the one form that a number has: keys of a map that differ are different numbers. */
static bool is_plain(const char *digits)
{
	return isdigit((unsigned char)digits[0]) && (digits[0] != '0' || digits[1] == '\0');
}

/* Digits, of a number below zero with a '-' before them, within [min, max]. */
static bool parse_signed(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return is_plain(text + (text[0] == '-')) && strcmp(text, "-0") != 0 && !*end && !errno &&
	       *ret >= min && *ret <= max;
}

static bool parse_unsigned(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return is_plain(text) && !*end && !errno && *ret <= max;
}

static bool parse_number(const struct field *field, const char *text, void *member)
{
	uint64_t u;
	int64_t i;

	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		if (!parse_signed(text, INT32_MIN, INT32_MAX, &i))
			return false;
		*(int32_t *)member = (int32_t)i;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return parse_signed(text, -JSON_INTEGER_MAX, JSON_INTEGER_MAX, member);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (!parse_unsigned(text, UINT32_MAX, &u))
			return false;
		*(uint32_t *)member = (uint32_t)u;
		return true;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return parse_unsigned(text, JSON_INTEGER_MAX, member);
	default:
		return false;
	}
}

static bool parse_bool(const char *text, protobuf_c_boolean *ret)
{
	*ret = strcmp(text, "true") == 0;
	return *ret || strcmp(text, "false") == 0;
}

int proto_set_from_text(ProtobufCMessage *message, const struct field *field, const char *name,
			const char *text, struct err *err)
{
	void *member = proto_member(message, field);
	bool good;

	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (proto_set_string(member, text))
			return err_sys(err, ENOMEM, "cannot read %s", name);
		good = true;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		good = parse_bool(text, member);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		good = field_enum_value(field, text, member);
		break;
	default:
		good = parse_number(field, text, member);
	}
	if (!good)
		return field_error(field, name, field_quote(text).s, err);
	proto_mark_set(message, field);
	return 0;
}
