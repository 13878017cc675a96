/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comments of the .proto files, from descriptor sets that have source info. Texts are
 * made of the lines before a thing, joined by spaces; empty where there is no comment.
 */

#ifndef API_GATEWAY_PROTO_DOCS_H
#define API_GATEWAY_PROTO_DOCS_H

#include <stdbool.h>

#include "common/err.h"
#include "common/scoped.h"

#include "field_table.h"
#include "text.h"

struct proto_docs;

/* NULL with *err. The sets are not needed afterwards. */
struct proto_docs *proto_docs_new(const struct descriptor_set *sets, size_t count, struct err *err);
void proto_docs_free(struct proto_docs *docs);
SCOPED_DEFINE(struct proto_docs *, proto_docs_free);

/* Append the comment of a message, a field, a method; names as "hypeman.gpu.v1.Device". */
void proto_docs_message(const struct proto_docs *docs, const char *message, struct text *to);
void proto_docs_field(const struct proto_docs *docs, const char *message, const char *field,
		      struct text *to);
void proto_docs_method(const struct proto_docs *docs, const char *service, const char *method,
		       struct text *to);

/* Whether the field's comment begins with "Required.". */
bool proto_docs_is_required(const struct proto_docs *docs, const char *message, const char *field);

#endif
