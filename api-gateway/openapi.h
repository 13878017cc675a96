/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /openapi.json: the route table as an OpenAPI 3.1 document. Texts are the comments of the
 * .proto files. Generated once, at start.
 */

#ifndef API_GATEWAY_OPENAPI_H
#define API_GATEWAY_OPENAPI_H

#include <stdbool.h>

#include "common/err.h"

#include "proto_docs.h"
#include "route.h"
#include "text.h"

/* has_auth: callers are asked for tokens. */
int openapi_write(const struct route_table *routes, const struct proto_docs *docs, bool has_auth,
		  struct text *ret, struct err *err);

#endif
