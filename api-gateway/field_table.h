/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the transcoder knows about messages: protobuf-c's descriptors joined with what
 * they do not tell (maps, optional fields, streamed answers), which comes from the
 * embedded FileDescriptorSets, and with the texts and rules of json_names.def.
 *
 * Built once at start; afterwards read by any thread.
 */

#ifndef API_GATEWAY_FIELD_TABLE_H
#define API_GATEWAY_FIELD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"
#include "common/scoped.h"

struct message_table;

struct field {
	const ProtobufCFieldDescriptor *pb;
	const struct message_table *message; /* of a message field, else NULL */
	const char **enum_texts;	     /* of an enum field, as its pb values; owned */
	bool is_map;
	bool is_optional; /* a one-member oneof `<name>_opt` */
	bool null_when_unset;
	bool none_when_empty;
};

struct message_table {
	const ProtobufCMessageDescriptor *pb;
	struct field *fields; /* pb->n_fields, as pb->fields; owned */
	bool is_timestamp;    /* google.protobuf.Timestamp: a text in JSON */
	struct message_table *next;
};

struct field_table;

/* A serialized FileDescriptorSet (protoc --include_imports). */
struct descriptor_set {
	const uint8_t *bytes;
	size_t size;
};

/* NULL with *err when a set is malformed. The sets are not needed afterwards. */
struct field_table *field_table_new(const struct descriptor_set *sets, size_t count,
				    struct err *err);
void field_table_free(struct field_table *table);
SCOPED_DEFINE(struct field_table *, field_table_free);

/*
 * The table of a message and of all that it contains; borrowed. NULL with *err when the
 * sets do not describe it, or json_names.def lacks a text.
 */
const struct message_table *field_table_message(struct field_table *table,
						const ProtobufCMessageDescriptor *message,
						struct err *err);

/* Whether the answers of a method are streamed. */
int field_table_is_streamed(const struct field_table *table, const char *service,
			    const char *method, bool *ret, struct err *err);

/* NULL when the message has no such field. */
const struct field *message_table_find(const struct message_table *message, const char *name);

/* NULL for a number without a text. */
const char *field_enum_text(const struct field *field, int value);

/* Whether `text` names a value. */
bool field_enum_value(const struct field *field, const char *text, int *ret);

#endif
