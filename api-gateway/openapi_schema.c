/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi_schema.h"

#include <stdio.h>
#include <string.h>

struct example {
	const char *schema, *json;
};

static const struct example examples[] = {
#define EXAMPLE(schema, ...) { #schema, #__VA_ARGS__ },
#include "openapi_examples.def"
#undef EXAMPLE
};

struct schema_name {
	char s[96];
};

/* The last part of the message's name. */
static struct schema_name schema_name(const struct message_table *message, bool is_input)
{
	const char *dot = strrchr(message->pb->name, '.');
	struct schema_name name;

	snprintf(name.s, sizeof(name.s), "%s%s", dot ? dot + 1 : message->pb->name,
		 is_input ? "Input" : "");
	return name;
}

static void remember(struct openapi_schemas *schemas, const struct message_table *message,
		     bool is_input)
{
	for (size_t i = 0; i < schemas->count; i++)
		if (schemas->of[i].message == message && schemas->of[i].is_input == is_input)
			return;
	if (schemas->count == OPENAPI_SCHEMAS_MAX) {
		schemas->is_full = true;
		return;
	}
	schemas->of[schemas->count++] = (struct openapi_schema){ message, is_input };
}

void openapi_schema_refer(struct openapi_schemas *schemas, const struct message_table *message,
			  bool is_input, struct json_build *json)
{
	char reference[128];

	remember(schemas, message, is_input);
	snprintf(reference, sizeof(reference), "#/components/schemas/%s",
		 schema_name(message, is_input).s);
	json_build_open(json, '{');
	json_build_member(json, "$ref", reference);
	json_build_close(json, '}');
}

static void write_type(struct json_build *json, const char *type, bool may_be_null)
{
	json_build_key(json, "type");
	if (!may_be_null) {
		json_build_string(json, type);
		return;
	}
	json_build_open(json, '[');
	json_build_string(json, type);
	json_build_string(json, "null");
	json_build_close(json, ']');
}

static void write_enum(const struct field *field, bool may_be_null, struct json_build *json)
{
	const ProtobufCEnumDescriptor *type = field->pb->descriptor;

	write_type(json, "string", may_be_null);
	json_build_open_member(json, "enum", '[');
	for (unsigned i = 0; i < type->n_values; i++)
		if (field->enum_texts[i])
			json_build_string(json, field->enum_texts[i]);
	if (may_be_null)
		json_build_raw(json, "null");
	json_build_close(json, ']');
}

static void write_integer(bool may_be_null, const char *least, const char *most,
			  struct json_build *json)
{
	write_type(json, "integer", may_be_null);
	json_build_raw_member(json, "minimum", least);
	json_build_raw_member(json, "maximum", most);
}

/* The members of a schema of a scalar. */
static void write_scalar(const struct field *field, bool may_be_null, struct json_build *json)
{
	switch (field->pb->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		write_integer(may_be_null, "-2147483648", "2147483647", json);
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		write_integer(may_be_null, "-9007199254740991", "9007199254740991", json);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		write_integer(may_be_null, "0", "4294967295", json);
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		write_integer(may_be_null, "0", "9007199254740991", json);
		return;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		write_type(json, "number", may_be_null);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		write_type(json, "boolean", may_be_null);
		return;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(field, may_be_null, json);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		write_type(json, "string", may_be_null);
		json_build_member(json, "contentEncoding", "base64");
		return;
	default:
		write_type(json, "string", may_be_null);
	}
}

/* The members of a schema of one value. */
static void write_one(struct openapi_schemas *schemas, const struct field *field, bool is_input,
		      bool may_be_null, struct json_build *json)
{
	if (!field->message) {
		write_scalar(field, may_be_null, json);
		return;
	}
	if (field->message->is_timestamp) {
		write_type(json, "string", may_be_null);
		json_build_member(json, "format", "date-time");
		return;
	}
	json_build_open_member(json, "anyOf", '[');
	openapi_schema_refer(schemas, field->message, is_input, json);
	if (may_be_null)
		json_build_raw(json, "{\"type\":\"null\"}");
	json_build_close(json, ']');
}

/* The members of a field's schema. */
static void write_field(struct openapi_schemas *schemas, const struct field *field, bool is_input,
			bool may_be_null, struct json_build *json)
{
	if (field->is_map) {
		write_type(json, "object", may_be_null);
		json_build_open_member(json, "additionalProperties", '{');
		write_one(schemas, message_table_find(field->message, "value"), is_input, false,
			  json);
		json_build_close(json, '}');
	} else if (field->pb->label == PROTOBUF_C_LABEL_REPEATED) {
		write_type(json, "array", may_be_null);
		json_build_open_member(json, "items", '{');
		write_one(schemas, field, is_input, false, json);
		json_build_close(json, '}');
	} else {
		write_one(schemas, field, is_input, may_be_null, json);
	}
}

void openapi_schema_write_answer(struct openapi_schemas *schemas, const struct field *field,
				 struct json_build *json)
{
	json_build_open(json, '{');
	write_field(schemas, field, false, field->null_when_unset, json);
	json_build_close(json, '}');
}

void openapi_schema_write_parameter(struct openapi_schemas *schemas, const struct field *field,
				    struct json_build *json)
{
	json_build_open(json, '{');
	write_field(schemas, field, true, false, json);
	json_build_close(json, '}');
}

/* What is always there: of an answer by the rules of json_write.h, of a body by its comment. */
static bool is_required(const struct openapi_schemas *schemas, const struct message_table *message,
			const struct field *field, bool is_input)
{
	if (is_input)
		return proto_docs_is_required(schemas->docs, message->pb->name, field->pb->name);
	if (field->null_when_unset)
		return true;
	if (field->pb->label == PROTOBUF_C_LABEL_REPEATED)
		return !field->none_when_empty;
	return field->pb->type != PROTOBUF_C_TYPE_MESSAGE &&
	       field->pb->type != PROTOBUF_C_TYPE_ENUM &&
	       !(field->pb->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
}

void openapi_schema_write_properties(struct openapi_schemas *schemas,
				     const struct message_table *message, bool is_input,
				     struct json_build *json)
{
	for (unsigned i = 0; i < message->pb->n_fields; i++) {
		const struct field *field = &message->fields[i];
		scoped_text struct text comment = { 0 };
		bool may_be_null = is_input ? !is_required(schemas, message, field, true)
					    : field->null_when_unset;

		proto_docs_field(schemas->docs, message->pb->name, field->pb->name, &comment);
		json_build_open_member(json, field->pb->name, '{');
		if (comment.length > 0)
			json_build_member(json, "description", comment.bytes);
		write_field(schemas, field, is_input, may_be_null, json);
		json_build_close(json, '}');
	}
}

void openapi_schema_write_required(const struct openapi_schemas *schemas,
				   const struct message_table *message, bool is_input,
				   struct json_build *json)
{
	for (unsigned i = 0; i < message->pb->n_fields; i++)
		if (is_required(schemas, message, &message->fields[i], is_input))
			json_build_string(json, message->fields[i].pb->name);
}

static void write_examples(const char *schema, struct json_build *json)
{
	json_build_open_member(json, "examples", '[');
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		if (strcmp(examples[i].schema, schema) == 0)
			json_build_raw(json, examples[i].json);
	json_build_close(json, ']');
}

static void write_schema(struct openapi_schemas *schemas, const struct openapi_schema *schema,
			 struct json_build *json)
{
	struct schema_name name = schema_name(schema->message, schema->is_input);
	scoped_text struct text comment = { 0 };

	proto_docs_message(schemas->docs, schema->message->pb->name, &comment);
	json_build_open_member(json, name.s, '{');
	json_build_member(json, "type", "object");
	if (comment.length > 0)
		json_build_member(json, "description", comment.bytes);
	json_build_open_member(json, "properties", '{');
	openapi_schema_write_properties(schemas, schema->message, schema->is_input, json);
	json_build_close(json, '}');
	json_build_open_member(json, "required", '[');
	openapi_schema_write_required(schemas, schema->message, schema->is_input, json);
	json_build_close(json, ']');
	if (schema->is_input)
		json_build_raw_member(json, "additionalProperties", "false");
	write_examples(name.s, json);
	json_build_close(json, '}');
}

void openapi_schema_write_all(struct openapi_schemas *schemas, struct json_build *json)
{
	/* The count grows while schemas refer to others. */
	for (size_t i = 0; i < schemas->count; i++)
		write_schema(schemas, &schemas->of[i], json);
}
