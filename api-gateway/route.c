/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include <stdio.h>
#include <string.h>

#include "common/rpc/rpc.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "hypeman/image/v1/image_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"
#include "hypeman/volume/v1/volume_service.pb-c.h"

#include "field_error.h"
#include "proto_message.h"

static struct route routes[] = {
#define OWN(kind, method, pattern, scope)                                                          \
	{ ROUTE_##kind, #method, pattern, scope, .status = 200, .query = "" },
#define JOIN(method, pattern, scope)                                                               \
	{ ROUTE_JOIN, #method, pattern, scope, .status = 200, .query = "" },
#define PART(name, api, rpc, answer)                                                               \
	{ ROUTE_PART, NULL, name, "", API_##api, rpc, "", answer, "", 200, "" },
#define CALL(method, pattern, scope, api, rpc, body, answer, status, query)                        \
	{ ROUTE_CALL, #method, pattern, scope, API_##api, rpc, body, answer, "", status, query },
#define LONG(method, pattern, scope, api, rpc, answer, query)                                      \
	{ ROUTE_LONG, #method, pattern, scope, API_##api, rpc, "", answer, "", 200, query },
#define STREAM(method, pattern, scope, api, rpc, answer, follow, query)                            \
	{ ROUTE_STREAM, #method, pattern, scope, API_##api, rpc, "", answer, follow, 200, query },
#define EVENTS(method, pattern, scope, api, rpc, answer)                                           \
	{ ROUTE_EVENTS, #method, pattern, scope, API_##api, rpc, "", answer, "", 200, "" },
#define EXEC(method, pattern, scope, api, rpc, body)                                               \
	{ ROUTE_EXEC, #method, pattern, scope, API_##api, rpc, body, "", "", 101, "" },
#include "routes.def"
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

static const struct {
	const ProtobufCServiceDescriptor *descriptor;
	enum service_id service_id;
} apis[API_COUNT] = {
	[API_INSTANCE] = { &hypeman__instance__v1__instance_service__descriptor, SERVICE_INSTANCE },
	[API_IMAGE] = { &hypeman__image__v1__image_service__descriptor, SERVICE_INSTANCE },
	[API_VOLUME] = { &hypeman__volume__v1__volume_service__descriptor, SERVICE_INSTANCE },
	[API_GPU] = { &hypeman__gpu__v1__gpu_service__descriptor, SERVICE_GPU },
};

/* A field that the table names; "" is none. */
static int find_field(const struct message_table *message, const char *name,
		      const struct field **ret, struct err *err)
{
	if (name[0] == '\0')
		return 0;
	*ret = message_table_find(message, name);
	if (*ret)
		return 0;
	return err_set(err, ERR_INTERNAL, "routes.def: %s has no field %s", message->pb->name,
		       name);
}

/* Copies the word at *at, moves behind it. False at the end. */
static bool next_word(const char **at, char *to, size_t size)
{
	size_t length;

	*at += strspn(*at, " ");
	length = strcspn(*at, " ");
	snprintf(to, size, "%.*s", (int)length, *at);
	*at += length;
	return length > 0;
}

static int check_query(const struct route *route, struct err *err)
{
	const struct field *field = NULL;
	const char *at = route->query;
	char name[64];

	while (next_word(&at, name, sizeof(name)))
		if (find_field(route->filled, name, &field, err))
			return -1;
	return 0;
}

/* The text inside the braces of a pattern's segment at `at`; false when it is literal. */
static bool pattern_name(const char *at, size_t length, char *to, size_t size)
{
	if (length < 3 || at[0] != '{' || at[length - 1] != '}')
		return false;
	snprintf(to, size, "%.*s", (int)length - 2, at + 1);
	return true;
}

static int check_pattern(const struct route *route, struct err *err)
{
	const struct field *field = NULL;
	char name[64];

	for (const char *at = route->pattern; *at == '/';) {
		size_t length = strcspn(++at, "/");

		if (pattern_name(at, length, name, sizeof(name)) &&
		    find_field(route->filled, name, &field, err))
			return -1;
		at += length;
	}
	return 0;
}

static int check_kind(const struct route *route, const struct field_table *fields, struct err *err)
{
	bool streamed;

	if (field_table_is_streamed(fields, route->service->name, route->rpc, &streamed, err))
		return -1;
	if (streamed != (route->kind == ROUTE_STREAM || route->kind == ROUTE_EVENTS ||
			 route->kind == ROUTE_EXEC))
		return err_set(err, ERR_INTERNAL, "routes.def: %s %s a stream", route->rpc,
			       streamed ? "is" : "is not");
	return 0;
}

static int find_body(struct route *route, struct err *err)
{
	size_t length = strcspn(route->body_name, "?");
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)length, route->body_name);
	route->body_is_optional = route->body_name[length] == '?';
	if (find_field(route->request, name, &route->body, err))
		return -1;
	route->filled = route->kind == ROUTE_EXEC ? route->body->message : route->request;
	return 0;
}

static int find_answer(struct route *route, struct err *err)
{
	route->answer_is_whole = strcmp(route->answer_name, "*") == 0;
	if (route->answer_is_whole)
		return 0;
	return find_field(route->response, route->answer_name, &route->answer, err);
}

static int resolve(struct route *route, struct field_table *fields, struct err *err)
{
	int index;

	route->service = apis[route->api].descriptor;
	route->service_id = apis[route->api].service_id;
	index = rpc_method_index(route->service, route->rpc);
	if (index < 0)
		return err_set(err, ERR_INTERNAL, "routes.def: %s has no method %s",
			       route->service->name, route->rpc);
	route->rpc_index = (unsigned)index;
	route->request = field_table_message(fields, route->service->methods[index].input, err);
	if (!route->request)
		return -1;
	route->response = field_table_message(fields, route->service->methods[index].output, err);
	if (!route->response)
		return -1;
	if (find_body(route, err) || find_answer(route, err) ||
	    find_field(route->request, route->follow_name, &route->follow, err) ||
	    check_query(route, err) || check_pattern(route, err))
		return -1;
	route->timeout = message_table_find(route->request, "timeout");
	route->page_token = message_table_find(route->request, "page_token");
	route->next_page_token = message_table_find(route->response, "next_page_token");
	return check_kind(route, fields, err);
}

int route_table_init(struct route_table *ret, struct field_table *fields, struct err *err)
{
	for (size_t i = 0; i < ROUTE_COUNT; i++)
		if (routes[i].api != API_NONE && resolve(&routes[i], fields, err))
			return -1;
	*ret = (struct route_table){ routes, ROUTE_COUNT };
	return 0;
}

bool route_has_query(const struct route *route, const char *name)
{
	const char *at = route->query;
	char word[64];

	while (next_word(&at, word, sizeof(word)))
		if (strcmp(word, name) == 0)
			return true;
	return false;
}

static bool matches(const struct route *route, const struct url_path *path)
{
	const char *at = route->pattern;
	char name[64];

	if (route->kind == ROUTE_PART)
		return false;
	for (size_t i = 0; i < path->count; i++) {
		size_t length;

		if (*at != '/')
			return false;
		length = strcspn(++at, "/");
		if (pattern_name(at, length, name, sizeof(name))) {
			if (path->segments[i][0] == '\0')
				return false;
		} else if (strlen(path->segments[i]) != length ||
			   memcmp(path->segments[i], at, length) != 0) {
			return false;
		}
		at += length;
	}
	return *at == '\0';
}

/* The first pattern that fits; NULL if there is none. */
static const char *find_pattern(const struct route_table *table, const struct url_path *path)
{
	for (size_t i = 0; i < table->count; i++)
		if (matches(&table->routes[i], path))
			return table->routes[i].pattern;
	return NULL;
}

static bool has_pattern(const struct route *route, const char *pattern)
{
	return route->method && strcmp(route->pattern, pattern) == 0;
}

/* "GET, HEAD, DELETE, OPTIONS" */
static void list_methods(const struct route_table *table, const char *pattern, char *to,
			 size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct route *route = &table->routes[i];

		if (has_pattern(route, pattern) && used < size)
			used += (size_t)snprintf(to + used, size - used, "%s, %s", route->method,
						 strcmp(route->method, "GET") == 0 ? "HEAD, " : "");
	}
	if (used < size)
		snprintf(to + used, size - used, "OPTIONS");
}

const struct route *route_find(const struct route_table *table, const char *method,
			       const struct url_path *path, char *allow, size_t allow_size,
			       struct err *err)
{
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
	const char *pattern = find_pattern(table, path);
	char methods[64];

	if (!pattern) {
		err_set(err, ERR_NOT_FOUND, "no such path");
		return NULL;
	}
	for (size_t i = 0; i < table->count; i++)
		if (has_pattern(&table->routes[i], pattern) &&
		    strcmp(table->routes[i].method, wanted) == 0)
			return &table->routes[i];
	list_methods(table, pattern, methods, sizeof(methods));
	err_set(err, ERR_METHOD_NOT_ALLOWED, "%s is not possible here, only %s", method, methods);
	if (allow)
		snprintf(allow, allow_size, "%s", methods);
	return NULL;
}

static int fill_from_path(const struct route *route, const struct url_path *path,
			  ProtobufCMessage *request, struct err *err)
{
	const char *at = route->pattern;
	char name[64];

	for (size_t i = 0; i < path->count; i++) {
		size_t length = strcspn(++at, "/");

		if (pattern_name(at, length, name, sizeof(name)) &&
		    proto_set_from_text(request, message_table_find(route->filled, name), name,
					path->segments[i], err))
			return -1;
		at += length;
	}
	return 0;
}

static int fail_unknown(const struct route *route, const char *name, struct err *err)
{
	return err_field(err, name, "unknown query parameter %s, known are: %s",
			 field_quote(name).s, route->query[0] ? route->query : "none");
}

static int fill_from_query(const struct route *route, const char *query, ProtobufCMessage *request,
			   struct err *err)
{
	struct url_pair pair;
	char seen[256] = " "; /* " tail follow " */
	int r;

	while ((r = url_query_next(&query, &pair, err)) > 0) {
		char word[sizeof(pair.name) + 2];
		size_t used = strlen(seen);

		if (!route_has_query(route, pair.name))
			return fail_unknown(route, pair.name, err);
		snprintf(word, sizeof(word), " %s ", pair.name);
		if (strstr(seen, word))
			return err_field(err, pair.name, "query parameter %s is given twice",
					 pair.name);
		snprintf(seen + used, sizeof(seen) - used, "%s ", pair.name);
		if (proto_set_from_text(request, message_table_find(route->filled, pair.name),
					pair.name, pair.value, err))
			return -1;
	}
	return r;
}

int route_fill(const struct route *route, const struct url_path *path, const char *query,
	       ProtobufCMessage *request, struct err *err)
{
	if (request && fill_from_path(route, path, request, err))
		return -1;
	return query ? fill_from_query(route, query, request, err) : 0;
}
