/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making protobuf-c messages by descriptor. Everything in a message is on the heap as
 * protobuf_c_message_free_unpacked() expects it.
 */

#ifndef API_GATEWAY_PROTO_MESSAGE_H
#define API_GATEWAY_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"
#include "common/scoped.h"

#include "field_table.h"

/* NULL: out of memory. */
ProtobufCMessage *proto_message_new(const ProtobufCMessageDescriptor *type);
void proto_message_free(ProtobufCMessage *message);
SCOPED_DEFINE(ProtobufCMessage *, proto_message_free);

/* Where the field's value is (of a repeated field: the array). */
void *proto_member(const ProtobufCMessage *message, const struct field *field);

/* Elements of a repeated field. */
size_t proto_count(const ProtobufCMessage *message, const struct field *field);

/* The i-th element of a repeated field. */
void *proto_element(const ProtobufCMessage *message, const struct field *field, size_t i);

/* Adds a zero element to a repeated field. NULL: out of memory. */
void *proto_append(ProtobufCMessage *message, const struct field *field);

/* Of a member of a oneof: whether it is the one; of a message: whether there is one; else true. */
bool proto_is_set(const ProtobufCMessage *message, const struct field *field);

/* Whether another member of the same oneof is set. */
bool proto_is_taken(const ProtobufCMessage *message, const struct field *field);

/* Needed after writing a member of a oneof; nothing for other fields. */
void proto_mark_set(ProtobufCMessage *message, const struct field *field);

/* Replaces a singular text. 0 or -ENOMEM. */
int proto_set_string(void *member, const char *text);

/*
 * Sets a singular scalar or enum from a text (of a path, a query, or a map key). `name`
 * is what the message calls it.
 */
int proto_set_from_text(ProtobufCMessage *message, const struct field *field, const char *name,
			const char *text, struct err *err);

#endif
