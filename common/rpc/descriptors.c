/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__DescriptorProto message_type;
typedef Google__Protobuf__EnumDescriptorProto enum_type;
typedef Google__Protobuf__ServiceDescriptorProto service_type;

int descriptors_add(struct descriptors *descriptors, const uint8_t *set, size_t size,
		    struct err *err)
{
	Google__Protobuf__FileDescriptorSet **sets;
	Google__Protobuf__FileDescriptorSet *added;

	sets = realloc(descriptors->sets, (descriptors->set_count + 1) * sizeof(*sets));
	if (!sets)
		return err_sys(err, ENOMEM, "cannot keep a descriptor set");
	descriptors->sets = sets;
	added = google__protobuf__file_descriptor_set__unpack(NULL, size, set);
	if (!added)
		return err_set(err, ERR_INTERNAL, "a descriptor set of %zu bytes is malformed",
			       size);
	sets[descriptors->set_count++] = added;
	return 0;
}

void descriptors_done(struct descriptors *descriptors)
{
	for (size_t i = 0; i < descriptors->set_count; i++)
		google__protobuf__file_descriptor_set__free_unpacked(descriptors->sets[i], NULL);
	free(descriptors->sets);
	*descriptors = (struct descriptors){ 0 };
}

/* Calls visit() for each file until it returns true. The same file may be in two sets. */
static const descriptors_file *find(const struct descriptors *descriptors,
				    bool (*visit)(const descriptors_file *file, const char *text),
				    const char *text)
{
	for (size_t i = 0; i < descriptors->set_count; i++)
		for (size_t j = 0; j < descriptors->sets[i]->n_file; j++)
			if (visit(descriptors->sets[i]->file[j], text))
				return descriptors->sets[i]->file[j];
	return NULL;
}

static bool file_has_name(const descriptors_file *file, const char *name)
{
	return file->name && strcmp(file->name, name) == 0;
}

const descriptors_file *descriptors_find_file(const struct descriptors *descriptors,
					      const char *name)
{
	return find(descriptors, file_has_name, name);
}

/*
 * The rest of a dotted symbol after its first part `name`: "" when that was all of it,
 * NULL when it starts otherwise.
 */
static const char *after(const char *symbol, const char *name)
{
	size_t length = name ? strlen(name) : 0;

	if (!name || strncmp(symbol, name, length) != 0)
		return NULL;
	if (symbol[length] == '.')
		return symbol + length + 1;
	return symbol[length] == '\0' ? symbol + length : NULL;
}

static bool is(const char *symbol, const char *name)
{
	return name && strcmp(symbol, name) == 0;
}

static bool enum_has(const enum_type *type, const char *symbol)
{
	const char *rest = after(symbol, type->name);

	if (!rest)
		return false;
	for (size_t i = 0; i < type->n_value && *rest; i++)
		if (is(rest, type->value[i]->name))
			return true;
	return *rest == '\0';
}

static bool service_has(const service_type *type, const char *symbol)
{
	const char *rest = after(symbol, type->name);

	if (!rest)
		return false;
	for (size_t i = 0; i < type->n_method && *rest; i++)
		if (is(rest, type->method[i]->name))
			return true;
	return *rest == '\0';
}

static bool message_has(const message_type *type, const char *symbol)
{
	const char *rest = after(symbol, type->name);

	if (!rest)
		return false;
	for (size_t i = 0; i < type->n_field; i++)
		if (is(rest, type->field[i]->name))
			return true;
	for (size_t i = 0; i < type->n_oneof_decl; i++)
		if (is(rest, type->oneof_decl[i]->name))
			return true;
	for (size_t i = 0; i < type->n_enum_type; i++)
		if (enum_has(type->enum_type[i], rest))
			return true;
	for (size_t i = 0; i < type->n_nested_type; i++)
		if (message_has(type->nested_type[i], rest))
			return true;
	return *rest == '\0';
}

static bool file_has_symbol(const descriptors_file *file, const char *symbol)
{
	const char *rest = symbol;

	if (file->package && *file->package)
		rest = after(symbol, file->package);
	if (!rest || !*rest)
		return false;
	for (size_t i = 0; i < file->n_message_type; i++)
		if (message_has(file->message_type[i], rest))
			return true;
	for (size_t i = 0; i < file->n_enum_type; i++)
		if (enum_has(file->enum_type[i], rest))
			return true;
	for (size_t i = 0; i < file->n_service; i++)
		if (service_has(file->service[i], rest))
			return true;
	return false;
}

const descriptors_file *descriptors_find_symbol(const struct descriptors *descriptors,
						const char *symbol)
{
	return find(descriptors, file_has_symbol, symbol);
}

const Google__Protobuf__MethodDescriptorProto *
descriptors_find_method(const struct descriptors *descriptors, const char *service,
			const char *method)
{
	const descriptors_file *file = descriptors_find_symbol(descriptors, service);
	const service_type *type = NULL;

	for (size_t i = 0; file && i < file->n_service; i++)
		if (is(strrchr(service, '.') ? strrchr(service, '.') + 1 : service,
		       file->service[i]->name))
			type = file->service[i];
	for (size_t i = 0; type && i < type->n_method; i++)
		if (is(method, type->method[i]->name))
			return type->method[i];
	return NULL;
}

static void collect(const struct descriptors *descriptors, const descriptors_file *file,
		    const descriptors_file **list, int *count)
{
	for (int i = 0; i < *count; i++)
		if (list[i] == file)
			return;
	list[(*count)++] = file;
	for (size_t i = 0; i < file->n_dependency; i++) {
		const descriptors_file *import =
			descriptors_find_file(descriptors, file->dependency[i]);

		if (import)
			collect(descriptors, import, list, count);
	}
}

int descriptors_closure(const struct descriptors *descriptors, const descriptors_file *file,
			const descriptors_file ***ret)
{
	const descriptors_file **list;
	size_t files = 1; /* the one asked for */
	int count = 0;

	for (size_t i = 0; i < descriptors->set_count; i++)
		files += descriptors->sets[i]->n_file;
	list = calloc(files, sizeof(*list));
	if (!list)
		return -1;
	collect(descriptors, file, list, &count);
	*ret = list;
	return count;
}
