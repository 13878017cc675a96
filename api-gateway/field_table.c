/* SPDX-License-Identifier: Apache-2.0 */
#include "field_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"

typedef Google__Protobuf__FileDescriptorSet file_set;
typedef Google__Protobuf__FileDescriptorProto file_type;
typedef Google__Protobuf__DescriptorProto message_type;
typedef Google__Protobuf__FieldDescriptorProto field_type;
typedef Google__Protobuf__ServiceDescriptorProto service_type;

struct field_table {
	file_set **sets; /* owned */
	size_t set_count;
	struct message_table *messages; /* owned list */
};

struct enum_text {
	const char *type, *value, *text;
};

struct field_name {
	const char *message, *field;
};

static const struct enum_text enum_texts[] = {
#define ENUM_TEXT(type, value, text) { type, value, text },
#define NULL_WHEN_UNSET(message, field)
#define NONE_WHEN_EMPTY(message, field)
#include "json_names.def"
#undef ENUM_TEXT
#undef NULL_WHEN_UNSET
#undef NONE_WHEN_EMPTY
};

static const struct field_name null_when_unset[] = {
#define ENUM_TEXT(type, value, text)
#define NULL_WHEN_UNSET(message, field) { message, field },
#define NONE_WHEN_EMPTY(message, field)
#include "json_names.def"
#undef NULL_WHEN_UNSET
#undef NONE_WHEN_EMPTY
};

static const struct field_name none_when_empty[] = {
#define NULL_WHEN_UNSET(message, field)
#define NONE_WHEN_EMPTY(message, field) { message, field },
#include "json_names.def"
#undef ENUM_TEXT
#undef NULL_WHEN_UNSET
#undef NONE_WHEN_EMPTY
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_listed(const struct field_name *list, size_t count, const char *message,
		      const char *field)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].message, message) == 0 && strcmp(list[i].field, field) == 0)
			return true;
	return false;
}

/* The text after "<prefix>." (or all of it without a prefix), NULL if it starts otherwise. */
static const char *after_prefix(const char *name, const char *prefix)
{
	size_t length = prefix ? strlen(prefix) : 0;

	if (length == 0)
		return name;
	if (strncmp(name, prefix, length) != 0 || name[length] != '.')
		return NULL;
	return name + length + 1;
}

/* `name` is relative to the list: "Instance", "Instance.EnvEntry". */
static const message_type *find_in_list(message_type **list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		const char *nested = after_prefix(name, list[i]->name);

		if (strcmp(list[i]->name, name) == 0)
			return list[i];
		if (nested)
			return find_in_list(list[i]->nested_type, list[i]->n_nested_type, nested);
	}
	return NULL;
}

static const message_type *find_message_type(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->set_count; i++) {
		for (size_t j = 0; j < table->sets[i]->n_file; j++) {
			const file_type *file = table->sets[i]->file[j];
			const char *relative = after_prefix(name, file->package);
			const message_type *found;

			if (!relative)
				continue;
			found = find_in_list(file->message_type, file->n_message_type, relative);
			if (found)
				return found;
		}
	}
	return NULL;
}

static const field_type *find_field_type(const message_type *message, const char *name)
{
	for (size_t i = 0; i < message->n_field; i++)
		if (strcmp(message->field[i]->name, name) == 0)
			return message->field[i];
	return NULL;
}

static bool is_optional(const message_type *message, const field_type *field)
{
	const char *oneof;
	size_t length = strlen(field->name);

	if (!field->has_oneof_index || (size_t)field->oneof_index >= message->n_oneof_decl)
		return false;
	oneof = message->oneof_decl[field->oneof_index]->name;
	return strncmp(oneof, field->name, length) == 0 && strcmp(oneof + length, "_opt") == 0;
}

static const char *find_enum_text(const char *type, const char *value)
{
	for (size_t i = 0; i < COUNT_OF(enum_texts); i++)
		if (strcmp(enum_texts[i].type, type) == 0 &&
		    strcmp(enum_texts[i].value, value) == 0)
			return enum_texts[i].text;
	return NULL;
}

static int fill_enum(struct field *field, struct err *err)
{
	const ProtobufCEnumDescriptor *type = field->pb->descriptor;
	const char *listed = NULL, *missing = NULL;

	field->enum_texts = calloc(type->n_values, sizeof(*field->enum_texts));
	if (!field->enum_texts)
		return err_sys(err, ENOMEM, "cannot describe %s", type->name);
	for (unsigned i = 0; i < type->n_values; i++) {
		field->enum_texts[i] = find_enum_text(type->name, type->values[i].name);
		if (field->enum_texts[i])
			listed = type->values[i].name;
		else if (type->values[i].value != 0)
			missing = type->values[i].name;
	}
	if (listed && missing)
		return err_set(err, ERR_INTERNAL,
			       "json_names.def has a text for %s.%s, none for %s", type->name,
			       listed, missing);
	return 0;
}

static int fill_field(struct field_table *table, const message_type *message, struct field *field,
		      const char *message_name, struct err *err)
{
	const field_type *type = find_field_type(message, field->pb->name);
	const ProtobufCMessageDescriptor *contained;
	const message_type *contained_type;

	if (!type)
		return err_set(err, ERR_INTERNAL, "no descriptor set describes %s.%s", message_name,
			       field->pb->name);
	field->is_optional = is_optional(message, type);
	field->null_when_unset = is_listed(null_when_unset, COUNT_OF(null_when_unset), message_name,
					   field->pb->name);
	field->none_when_empty = is_listed(none_when_empty, COUNT_OF(none_when_empty), message_name,
					   field->pb->name);
	if (field->pb->type == PROTOBUF_C_TYPE_ENUM)
		return fill_enum(field, err);
	if (field->pb->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	contained = field->pb->descriptor;
	contained_type = find_message_type(table, contained->name);
	field->is_map =
		contained_type && contained_type->options && contained_type->options->map_entry;
	field->message = field_table_message(table, contained, err);
	return field->message ? 0 : -1;
}

struct field_table *field_table_new(const struct descriptor_set *sets, size_t count,
				    struct err *err)
{
	scoped(field_table_free) struct field_table *table = calloc(1, sizeof(*table));

	if (table)
		table->sets = calloc(count, sizeof(*table->sets));
	if (!table || !table->sets) {
		err_sys(err, ENOMEM, "cannot read the descriptor sets");
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		table->sets[i] = google__protobuf__file_descriptor_set__unpack(NULL, sets[i].size,
									       sets[i].bytes);
		if (!table->sets[i]) {
			err_set(err, ERR_INTERNAL, "descriptor set %zu is malformed", i);
			return NULL;
		}
		table->set_count++;
	}
	return TAKE_PTR(table);
}

static void free_message(struct message_table *message)
{
	for (unsigned i = 0; message->fields && i < message->pb->n_fields; i++)
		free(message->fields[i].enum_texts);
	free(message->fields);
	free(message);
}

void field_table_free(struct field_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->set_count; i++)
		google__protobuf__file_descriptor_set__free_unpacked(table->sets[i], NULL);
	free(table->sets);
	while (table->messages) {
		struct message_table *message = table->messages;

		table->messages = message->next;
		free_message(message);
	}
	free(table);
}

const struct message_table *field_table_message(struct field_table *table,
						const ProtobufCMessageDescriptor *pb,
						struct err *err)
{
	const message_type *type = find_message_type(table, pb->name);
	struct message_table *message;

	for (message = table->messages; message; message = message->next)
		if (message->pb == pb)
			return message;
	if (!type) {
		err_set(err, ERR_INTERNAL, "no descriptor set describes %s", pb->name);
		return NULL;
	}
	message = calloc(1, sizeof(*message));
	if (message)
		message->fields = calloc(pb->n_fields + 1, sizeof(*message->fields));
	if (!message || !message->fields) {
		free(message);
		err_sys(err, ENOMEM, "cannot describe %s", pb->name);
		return NULL;
	}
	message->pb = pb;
	message->is_timestamp = strcmp(pb->name, "google.protobuf.Timestamp") == 0;
	message->next = table->messages; /* before its fields: a message may contain itself */
	table->messages = message;
	for (unsigned i = 0; i < pb->n_fields; i++) {
		message->fields[i].pb = &pb->fields[i];
		if (fill_field(table, type, &message->fields[i], pb->name, err))
			return NULL;
	}
	return message;
}

static const service_type *find_service_type(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->set_count; i++) {
		for (size_t j = 0; j < table->sets[i]->n_file; j++) {
			const file_type *file = table->sets[i]->file[j];
			const char *relative = after_prefix(name, file->package);

			for (size_t k = 0; relative && k < file->n_service; k++)
				if (strcmp(file->service[k]->name, relative) == 0)
					return file->service[k];
		}
	}
	return NULL;
}

int field_table_is_streamed(const struct field_table *table, const char *service,
			    const char *method, bool *ret, struct err *err)
{
	const service_type *type = find_service_type(table, service);

	for (size_t i = 0; type && i < type->n_method; i++) {
		if (strcmp(type->method[i]->name, method) != 0)
			continue;
		*ret = type->method[i]->server_streaming;
		return 0;
	}
	return err_set(err, ERR_INTERNAL, "no descriptor set describes %s.%s", service, method);
}

const struct field *message_table_find(const struct message_table *message, const char *name)
{
	const ProtobufCFieldDescriptor *pb =
		protobuf_c_message_descriptor_get_field_by_name(message->pb, name);

	return pb ? &message->fields[pb - message->pb->fields] : NULL;
}

const char *field_enum_text(const struct field *field, int value)
{
	const ProtobufCEnumDescriptor *type = field->pb->descriptor;

	for (unsigned i = 0; i < type->n_values; i++)
		if (type->values[i].value == value)
			return field->enum_texts[i];
	return NULL;
}

bool field_enum_value(const struct field *field, const char *text, int *ret)
{
	const ProtobufCEnumDescriptor *type = field->pb->descriptor;

	for (unsigned i = 0; i < type->n_values; i++) {
		if (field->enum_texts[i] && strcmp(field->enum_texts[i], text) == 0) {
			*ret = type->values[i].value;
			return true;
		}
	}
	return false;
}
