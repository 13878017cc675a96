/* SPDX-License-Identifier: Apache-2.0 */
#include "proto_docs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"

typedef Google__Protobuf__FileDescriptorSet file_set;
typedef Google__Protobuf__FileDescriptorProto file_type;
typedef Google__Protobuf__SourceCodeInfo__Location location;

/* Numbers of fields in descriptor.proto, of which a location's path is made. */
#define FILE_MESSAGES	4
#define FILE_SERVICES	6
#define MESSAGE_FIELDS	2
#define MESSAGE_ONEOFS	8
#define SERVICE_METHODS 2

struct proto_docs {
	file_set **sets; /* owned */
	size_t set_count;
};

/* A thing in a file: path[0..length) leads to it. */
struct place {
	const file_type *file;
	int32_t path[4];
	size_t length;
};

struct proto_docs *proto_docs_new(const struct descriptor_set *sets, size_t count, struct err *err)
{
	scoped(proto_docs_free) struct proto_docs *docs = calloc(1, sizeof(*docs));

	if (docs)
		docs->sets = calloc(count, sizeof(*docs->sets));
	if (!docs || !docs->sets) {
		err_sys(err, ENOMEM, "cannot read the descriptor sets");
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		docs->sets[i] = google__protobuf__file_descriptor_set__unpack(NULL, sets[i].size,
									      sets[i].bytes);
		if (!docs->sets[i]) {
			err_set(err, ERR_INTERNAL, "descriptor set %zu is malformed", i);
			return NULL;
		}
		docs->set_count++;
	}
	return TAKE_PTR(docs);
}

void proto_docs_free(struct proto_docs *docs)
{
	if (!docs)
		return;
	for (size_t i = 0; i < docs->set_count; i++)
		google__protobuf__file_descriptor_set__free_unpacked(docs->sets[i], NULL);
	free(docs->sets);
	free(docs);
}

/* Whether `name` is "<package>.<last>". */
static bool is_named(const char *name, const char *package, const char *last)
{
	size_t length = package ? strlen(package) : 0;

	return length > 0 && strncmp(name, package, length) == 0 && name[length] == '.' &&
	       strcmp(name + length + 1, last) == 0;
}

static bool find_in_file(const file_type *file, const char *name, struct place *ret)
{
	for (size_t i = 0; i < file->n_message_type; i++) {
		if (is_named(name, file->package, file->message_type[i]->name)) {
			*ret = (struct place){ file, { FILE_MESSAGES, (int32_t)i }, 2 };
			return true;
		}
	}
	for (size_t i = 0; i < file->n_service; i++) {
		if (is_named(name, file->package, file->service[i]->name)) {
			*ret = (struct place){ file, { FILE_SERVICES, (int32_t)i }, 2 };
			return true;
		}
	}
	return false;
}

/* A message or a service; those inside others are not looked for. */
static bool find(const struct proto_docs *docs, const char *name, struct place *ret)
{
	for (size_t i = 0; i < docs->set_count; i++)
		for (size_t j = 0; j < docs->sets[i]->n_file; j++)
			if (find_in_file(docs->sets[i]->file[j], name, ret))
				return true;
	return false;
}

/* NULL when there is none. */
static const char *comment_at(const struct place *place)
{
	const Google__Protobuf__SourceCodeInfo *info = place->file->source_code_info;

	for (size_t i = 0; info && i < info->n_location; i++) {
		const location *at = info->location[i];

		if (at->n_path == place->length &&
		    memcmp(at->path, place->path, place->length * sizeof(at->path[0])) == 0)
			return at->leading_comments;
	}
	return NULL;
}

static const char *comment_inside(struct place *place, int32_t kind, size_t index)
{
	place->path[2] = kind;
	place->path[3] = (int32_t)index;
	place->length = 4;
	return comment_at(place);
}

static const char *field_comment(const struct proto_docs *docs, const char *message,
				 const char *field)
{
	struct place place;
	const Google__Protobuf__DescriptorProto *type;

	if (!find(docs, message, &place))
		return NULL;
	type = place.file->message_type[place.path[1]];
	for (size_t i = 0; i < type->n_field; i++) {
		const char *comment;

		if (strcmp(type->field[i]->name, field) != 0)
			continue;
		comment = comment_inside(&place, MESSAGE_FIELDS, i);
		/* Of an optional field it stands before the oneof that makes it optional. */
		if (!comment && type->field[i]->has_oneof_index)
			comment = comment_inside(&place, MESSAGE_ONEOFS,
						 (size_t)type->field[i]->oneof_index);
		return comment;
	}
	return NULL;
}

static const char *method_comment(const struct proto_docs *docs, const char *service,
				  const char *method)
{
	struct place place;
	const Google__Protobuf__ServiceDescriptorProto *type;

	if (!find(docs, service, &place))
		return NULL;
	type = place.file->service[place.path[1]];
	for (size_t i = 0; i < type->n_method; i++) {
		if (strcmp(type->method[i]->name, method) == 0)
			return comment_inside(&place, SERVICE_METHODS, i);
	}
	return NULL;
}

/* One line: words with a space between. */
static void append_words(struct text *to, const char *comment)
{
	const char *before = "";

	while (comment && *(comment += strspn(comment, " \n\t"))) {
		size_t length = strcspn(comment, " \n\t");

		text_append_string(to, before);
		text_append(to, comment, length);
		comment += length;
		before = " ";
	}
}

void proto_docs_message(const struct proto_docs *docs, const char *message, struct text *to)
{
	struct place place;

	if (find(docs, message, &place))
		append_words(to, comment_at(&place));
}

void proto_docs_field(const struct proto_docs *docs, const char *message, const char *field,
		      struct text *to)
{
	append_words(to, field_comment(docs, message, field));
}

void proto_docs_method(const struct proto_docs *docs, const char *service, const char *method,
		       struct text *to)
{
	append_words(to, method_comment(docs, service, method));
}

bool proto_docs_is_required(const struct proto_docs *docs, const char *message, const char *field)
{
	const char *comment = field_comment(docs, message, field);

	return comment && strncmp(comment + strspn(comment, " "), "Required.", 9) == 0;
}
