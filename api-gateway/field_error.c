/* SPDX-License-Identifier: Apache-2.0 */
#include "field_error.h"

#include <stdio.h>
#include <string.h>

#include "common/rpc/utf8.h"

#include "json_check.h"

#define QUOTED_BYTES 40

struct field_quote field_quote(const char *text)
{
	struct field_quote quote;
	bool cut = strlen(text) > QUOTED_BYTES;
	size_t length = utf8_valid_length(text, cut ? QUOTED_BYTES : strlen(text));

	snprintf(quote.s, sizeof(quote.s), "'%.*s%s'", (int)length, text, cut ? "..." : "");
	for (char *c = quote.s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return quote;
}

/* "one of Created, Initializing, ..." */
static void list_enum(const struct field *field, char *to, size_t size)
{
	const ProtobufCEnumDescriptor *type = field->pb->descriptor;
	size_t used = (size_t)snprintf(to, size, "one of");
	const char *separator = " ";

	for (unsigned i = 0; i < type->n_values && used < size; i++) {
		if (!field->enum_texts[i])
			continue;
		used += (size_t)snprintf(to + used, size - used, "%s%s", separator,
					 field->enum_texts[i]);
		separator = ", ";
	}
}

static void describe(const struct field *field, char *to, size_t size)
{
	const char *text = "a text";

	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		text = "a whole number from -2147483648 to 2147483647";
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		text = "a whole number from 0 to 4294967295";
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		text = "a whole number from -9007199254740991 to 9007199254740991";
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		text = "a whole number from 0 to 9007199254740991";
		break;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		text = "a number";
		break;
	case PROTOBUF_C_TYPE_BOOL:
		text = "true or false";
		break;
	case PROTOBUF_C_TYPE_BYTES:
		text = "a text in base64";
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		text = field->message->is_timestamp ? "a time like 2026-01-31T12:00:00Z"
						    : "an object";
		break;
	case PROTOBUF_C_TYPE_ENUM:
		list_enum(field, to, size);
		return;
	case PROTOBUF_C_TYPE_STRING:
		break;
	}
	snprintf(to, size, "%s", text);
}

int field_error(const struct field *field, const char *name, const char *found, struct err *err)
{
	char accepted[256];

	describe(field, accepted, sizeof(accepted));
	return err_field(err, name, "%s is %s, must be %s", name, found, accepted);
}
