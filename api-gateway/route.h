/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.def, joined at start with the services' descriptors: whatever it names must
 * exist. Read by any thread.
 */

#ifndef API_GATEWAY_ROUTE_H
#define API_GATEWAY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"
#include "common/scoped.h"

#include "field_table.h"
#include "url.h"

/* The processes behind the gateway. */
enum service_id {
	SERVICE_NONE,
	SERVICE_INSTANCE,
	SERVICE_GPU,
	SERVICE_COUNT,
};

/* The gRPC services they offer. */
enum api_id {
	API_NONE, /* the gateway's own, join */
	API_INSTANCE,
	API_IMAGE,
	API_VOLUME,
	API_GPU,
	API_COUNT,
};

enum route_kind {
	ROUTE_CALL,
	ROUTE_LONG,
	ROUTE_STREAM,
	ROUTE_EVENTS,
	ROUTE_EXEC,
	ROUTE_JOIN, /* the ROUTE_PARTs follow it in the table */
	ROUTE_PART,
	ROUTE_HEALTH,
	ROUTE_METRICS,
	ROUTE_OPENAPI,
	ROUTE_PAGE,
};

struct route {
	enum route_kind kind;
	const char *method;  /* "GET"; of a part: NULL */
	const char *pattern; /* of a part: its name */
	const char *scope;   /* empty: open to all */
	enum api_id api;
	const char *rpc;
	const char *body_name;	 /* with a '?' at its end: it may be empty */
	const char *answer_name; /* "*": the whole message */
	const char *follow_name;
	int status;
	const char *query; /* names, separated by spaces */

	/* Found at start; NULL where there is none. */
	enum service_id service_id;
	const ProtobufCServiceDescriptor *service;
	unsigned rpc_index;
	const struct message_table *request;
	const struct message_table *response;
	const struct message_table *filled; /* what path and query fill */
	const struct field *body;
	bool body_is_optional;
	const struct field *answer;
	bool answer_is_whole;
	const struct field *follow;
	const struct field *timeout;
	const struct field *page_token;
	const struct field *next_page_token;
};

struct route_table {
	const struct route *routes;
	size_t count;
};

/* Of the one process-wide table, which lives as long as `fields`. Call once. */
int route_table_init(struct route_table *ret, struct field_table *fields, struct err *err);

/* Whether the route takes this query parameter. */
bool route_has_query(const struct route *route, const char *name);

/*
 * The route of a request; of two patterns that fit, the one that comes first. HEAD finds
 * GET's. NOT_FOUND, or METHOD_NOT_ALLOWED with `allow` (if not NULL) filled: "GET, HEAD, OPTIONS".
 * OPTIONS on a known path is METHOD_NOT_ALLOWED as well: the caller answers it from `allow`.
 */
const struct route *route_find(const struct route_table *table, const char *method,
			       const struct url_path *path, char *allow, size_t allow_size,
			       struct err *err);

/*
 * Fills the request's fields (of ROUTE_EXEC its body's) from the {name}s of the pattern and
 * from the query. A route without an RPC has no request (NULL), and takes no query.
 */
int route_fill(const struct route *route, const struct url_path *path, const char *query,
	       ProtobufCMessage *request, struct err *err);

#endif
