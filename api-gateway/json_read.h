/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to a protobuf message, strictly: an unknown field, a wrong type or a number out
 * of range is INVALID_ARGUMENT naming the path of the field ("gpu.profile"), the value
 * and what is accepted. null means absent. Numbers with an integral value (4.0, 1e3)
 * are whole numbers.
 */

#ifndef API_GATEWAY_JSON_READ_H
#define API_GATEWAY_JSON_READ_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"

#include "field_table.h"

/* The text must be an object. *ret is freed with proto_message_free(). */
int json_read(const struct message_table *table, const char *text, size_t length,
	      ProtobufCMessage **ret, struct err *err);

/* For requests that say nothing: the text must be an object without members. */
int json_read_empty(const char *text, size_t length, struct err *err);

#endif
