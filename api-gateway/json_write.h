/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf messages to JSON: plain scalars always, unset optionals and messages never
 * (or null, where json_names.def says so), maps as objects, times as RFC 3339, bytes as
 * base64, 64-bit integers as numbers.
 */

#ifndef API_GATEWAY_JSON_WRITE_H
#define API_GATEWAY_JSON_WRITE_H

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"

#include "field_table.h"
#include "text.h"

/* Appends an object. -1 with INTERNAL for what JSON cannot say (integers beyond 2^53 - 1). */
int json_write(struct text *to, const struct message_table *table, const ProtobufCMessage *message,
	       struct err *err);

/* Appends the members of a message without braces; a comma first unless `first`. */
int json_write_members(struct text *to, const struct message_table *table,
		       const ProtobufCMessage *message, bool *first, struct err *err);

/* Appends the value of one field: null when it is unset, [] for an empty list. */
int json_write_field(struct text *to, const struct field *field, const ProtobufCMessage *message,
		     struct err *err);

#endif
