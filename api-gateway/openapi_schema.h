/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Schemas (2020-12) of messages, as json_read.h takes them and json_write.h prints them.
 *
 * A message has two: as an answer, named as the message is, and as a body ("InstanceSpecInput"),
 * where unknown members are refused and null means absent. What is referred to is remembered,
 * so that openapi_schema_write_all() describes all of it.
 */

#ifndef API_GATEWAY_OPENAPI_SCHEMA_H
#define API_GATEWAY_OPENAPI_SCHEMA_H

#include <stdbool.h>

#include "field_table.h"
#include "json_build.h"
#include "proto_docs.h"

#define OPENAPI_SCHEMAS_MAX 128

struct openapi_schema {
	const struct message_table *message; /* borrowed */
	bool is_input;
};

struct openapi_schemas {
	const struct proto_docs *docs; /* borrowed */
	struct openapi_schema of[OPENAPI_SCHEMAS_MAX];
	size_t count;
	bool is_full; /* some are missing */
};

/* A value {"$ref": ...} to the message's schema. */
void openapi_schema_refer(struct openapi_schemas *schemas, const struct message_table *message,
			  bool is_input, struct json_build *json);

/* The schema of one field's value in an answer. */
void openapi_schema_write_answer(struct openapi_schemas *schemas, const struct field *field,
				 struct json_build *json);

/* As above, of a scalar in a path or a query. */
void openapi_schema_write_parameter(struct openapi_schemas *schemas, const struct field *field,
				    struct json_build *json);

/* The members of "properties" that a message has in an answer. */
void openapi_schema_write_properties(struct openapi_schemas *schemas,
				     const struct message_table *message, bool is_input,
				     struct json_build *json);

/* The elements of "required". */
void openapi_schema_write_required(const struct openapi_schemas *schemas,
				   const struct message_table *message, bool is_input,
				   struct json_build *json);

/* The members of "components": {"schemas"}, also of what these refer to. */
void openapi_schema_write_all(struct openapi_schemas *schemas, struct json_build *json);

#endif
