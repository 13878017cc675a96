/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_build.h"
#include "openapi_schema.h"
#include "prometheus.h"

struct document {
	const struct route_table *routes;
	const struct proto_docs *docs;
	bool has_auth;
	struct json_build json;
	struct openapi_schemas schemas;
};

/* What the gateway answers itself has no .proto file to tell. */
static const struct {
	enum route_kind kind;
	const char *id, *description, *content_type, *schema;
} own[] = {
	{ ROUTE_HEALTH, "GetHealth", "Whether every service answers; 503 says which does not.",
	  "application/json",
	  "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\",\"enum\":[\"ok\"]}},"
	  "\"required\":[\"status\"],\"examples\":[{\"status\":\"ok\"}]}" },
	{ ROUTE_METRICS, "GetMetrics", "Figures for Prometheus.", PROMETHEUS_CONTENT_TYPE,
	  "{\"type\":\"string\"}" },
	{ ROUTE_OPENAPI, "GetOpenapi", "This document.", "application/json",
	  "{\"type\":\"object\"}" },
	{ ROUTE_JOIN, "GetResources",
	  "What the host has and what is left of it: from all services at once.", "", "" },
};

#define OWN_COUNT (sizeof(own) / sizeof(own[0]))

static size_t find_own(enum route_kind kind)
{
	size_t i = 0;

	while (i < OWN_COUNT - 1 && own[i].kind != kind)
		i++;
	return i;
}

static bool is_own(const struct route *route)
{
	return route->api == API_NONE;
}

/* "ListInstances" becomes "List instances". */
static void write_summary(struct json_build *json, const char *id)
{
	scoped_text struct text summary = { 0 };

	for (size_t i = 0; id[i]; i++) {
		if (i > 0 && isupper((unsigned char)id[i]))
			text_append_format(&summary, " %c", tolower((unsigned char)id[i]));
		else
			text_append(&summary, id + i, 1);
	}
	json_build_member(json, "summary", summary.bytes ? summary.bytes : "");
}

static void write_texts(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;
	const char *id = is_own(route) ? own[find_own(route->kind)].id : route->rpc;
	size_t tag = strcspn(route->pattern + 1, "/");
	scoped_text struct text text = { 0 };
	char word[64];

	snprintf(word, sizeof(word), "%c%s", tolower((unsigned char)id[0]), id + 1);
	json_build_member(json, "operationId", word);
	write_summary(json, id);
	if (is_own(route))
		text_append_string(&text, own[find_own(route->kind)].description);
	else
		proto_docs_method(document->docs, route->service->name, route->rpc, &text);
	if (text.length > 0)
		json_build_member(json, "description", text.bytes);
	snprintf(word, sizeof(word), "%.*s", (int)tag, route->pattern + 1);
	json_build_open_member(json, "tags", '[');
	json_build_string(json, word);
	json_build_close(json, ']');
}

static void write_parameter(struct document *document, const struct route *route, const char *name,
			    const char *in)
{
	struct json_build *json = &document->json;
	const char *message = route->filled->pb->name;
	scoped_text struct text text = { 0 };
	bool required =
		strcmp(in, "path") == 0 || proto_docs_is_required(document->docs, message, name);

	proto_docs_field(document->docs, message, name, &text);
	json_build_open(json, '{');
	json_build_member(json, "name", name);
	json_build_member(json, "in", in);
	if (text.length > 0)
		json_build_member(json, "description", text.bytes);
	json_build_raw_member(json, "required", required ? "true" : "false");
	json_build_key(json, "schema");
	openapi_schema_write_parameter(&document->schemas, message_table_find(route->filled, name),
				       json);
	json_build_close(json, '}');
}

/* Each word between the separators that is a name: "{id}" in a path, any in a query. */
static void write_names(struct document *document, const struct route *route, const char *in)
{
	bool is_path = strcmp(in, "path") == 0;
	const char *at = is_path ? route->pattern : route->query;
	const char *separators = is_path ? "/" : " ";
	char name[64];

	while (*(at += strspn(at, separators))) {
		size_t length = strcspn(at, separators);

		if (is_path && at[0] == '{')
			snprintf(name, sizeof(name), "%.*s", (int)length - 2, at + 1);
		else
			snprintf(name, sizeof(name), "%.*s", is_path ? 0 : (int)length, at);
		if (name[0])
			write_parameter(document, route, name, in);
		at += length;
	}
}

static void write_parameters(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;

	json_build_open_member(json, "parameters", '[');
	if (!is_own(route)) {
		write_names(document, route, "path");
		write_names(document, route, "query");
		if (message_table_find(route->request, "request_id"))
			json_build_raw(json,
				       "{\"$ref\":\"#/components/parameters/IdempotencyKey\"}");
	}
	json_build_close(json, ']');
}

static void write_body(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;

	if (!route->body || route->kind == ROUTE_EXEC)
		return;
	json_build_open_member(json, "requestBody", '{');
	json_build_raw_member(json, "required", route->body_is_optional ? "false" : "true");
	json_build_open_member(json, "content", '{');
	json_build_open_member(json, "application/json", '{');
	json_build_key(json, "schema");
	openapi_schema_refer(&document->schemas, route->body->message, true, json);
	json_build_close(json, '}');
	json_build_close(json, '}');
	json_build_close(json, '}');
}

/* One object with what its parts have. */
static void write_join(struct document *document, const struct route *join)
{
	const struct route *end = document->routes->routes + document->routes->count;
	struct json_build *json = &document->json;
	struct openapi_schemas *schemas = &document->schemas;

	json_build_open(json, '{');
	json_build_member(json, "type", "object");
	json_build_open_member(json, "properties", '{');
	for (const struct route *part = join + 1; part < end && part->kind == ROUTE_PART; part++) {
		if (part->answer_is_whole) {
			openapi_schema_write_properties(schemas, part->response, false, json);
			continue;
		}
		json_build_key(json, part->pattern);
		openapi_schema_write_answer(schemas, part->answer, json);
	}
	json_build_close(json, '}');
	json_build_open_member(json, "required", '[');
	for (const struct route *part = join + 1; part < end && part->kind == ROUTE_PART; part++) {
		if (part->answer_is_whole)
			openapi_schema_write_required(schemas, part->response, false, json);
		else
			json_build_string(json, part->pattern);
	}
	json_build_close(json, ']');
	json_build_close(json, '}');
}

static void write_schema(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;

	if (route->kind == ROUTE_JOIN)
		write_join(document, route);
	else if (is_own(route))
		json_build_raw(json, own[find_own(route->kind)].schema);
	else if (route->answer_is_whole)
		openapi_schema_refer(&document->schemas, route->response, false, json);
	else
		openapi_schema_write_answer(&document->schemas, route->answer, json);
}

/* OpenAPI has no word for what comes in a stream: the JSON of each event is an extension. */
static void write_stream(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;

	json_build_open_member(json, "text/event-stream", '{');
	json_build_raw_member(json, "schema", "{\"type\":\"string\"}");
	json_build_key(json, "x-event-data");
	write_schema(document, route);
	json_build_close(json, '}');
}

static bool is_stream(const struct route *route)
{
	return route->kind == ROUTE_STREAM || route->kind == ROUTE_EVENTS;
}

static void write_content(struct document *document, const struct route *route)
{
	const char *type = own[find_own(route->kind)].content_type;
	struct json_build *json = &document->json;

	if (!is_own(route) && !route->answer && !route->answer_is_whole)
		return;
	json_build_open_member(json, "content", '{');
	if (is_stream(route)) {
		write_stream(document, route);
	} else {
		json_build_open_member(json, is_own(route) && type[0] ? type : "application/json",
				       '{');
		json_build_key(json, "schema");
		write_schema(document, route);
		json_build_close(json, '}');
	}
	json_build_close(json, '}');
}

static void write_success(struct document *document, const struct route *route)
{
	static const char exec[] =
		"A WebSocket. The first message of the client is the text of an ExecStartInput; then "
		"binary messages are input, {\"resize\": {\"rows\", \"cols\"}} sizes the terminal. "
		"Binary messages of the server are output, its last is {\"exitCode\": N}.";
	struct json_build *json = &document->json;
	char status[8];

	snprintf(status, sizeof(status), "%d", route->status);
	json_build_open_member(json, status, '{');
	json_build_member(json, "description",
			  route->kind == ROUTE_EXEC ? exec
			  : is_stream(route)	    ? "Server-sent events."
						    : "Done.");
	write_content(document, route);
	if (route->kind == ROUTE_EXEC) {
		json_build_key(json, "x-first-message");
		openapi_schema_refer(&document->schemas, route->body->message, true, json);
	}
	json_build_close(json, '}');
}

static bool may_fail_with(const struct document *document, const struct route *route, int status)
{
	bool is_read = strcmp(route->method, "GET") == 0;
	bool asks = document->has_auth && route->scope[0];

	switch (status) {
	case 401:
	case 403:
		return asks;
	case 404:
		return !is_read || strchr(route->pattern, '{') != NULL;
	case 409:
	case 504:
		return !is_read;
	case 413:
		return route->body != NULL && route->kind != ROUTE_EXEC;
	case 429:
	case 503:
		return route->kind != ROUTE_OPENAPI;
	default:
		return true;
	}
}

static const int problem_statuses[] = { 400, 401, 403, 404, 409, 413, 429, 500, 503, 504 };

#define PROBLEM_COUNT (sizeof(problem_statuses) / sizeof(problem_statuses[0]))

static void write_responses(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;
	char status[8], reference[64];

	json_build_open_member(json, "responses", '{');
	write_success(document, route);
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		if (!may_fail_with(document, route, problem_statuses[i]))
			continue;
		snprintf(status, sizeof(status), "%d", problem_statuses[i]);
		snprintf(reference, sizeof(reference),
			 "{\"$ref\":\"#/components/responses/Problem%s\"}", status);
		json_build_raw_member(json, status, reference);
	}
	json_build_close(json, '}');
}

static void write_security(struct document *document, const struct route *route)
{
	struct json_build *json = &document->json;

	if (!document->has_auth)
		return;
	json_build_open_member(json, "security", '[');
	if (route->scope[0]) {
		json_build_open(json, '{');
		json_build_open_member(json, "bearer", '[');
		json_build_string(json, route->scope);
		json_build_close(json, ']');
		json_build_close(json, '}');
	}
	json_build_close(json, ']');
}

static void write_operation(struct document *document, const struct route *route)
{
	char method[16];
	size_t length = strlen(route->method);

	for (size_t i = 0; i <= length && i < sizeof(method); i++)
		method[i] = (char)tolower((unsigned char)route->method[i]);
	json_build_open_member(&document->json, method, '{');
	write_texts(document, route);
	write_parameters(document, route);
	write_body(document, route);
	write_responses(document, route);
	write_security(document, route);
	json_build_close(&document->json, '}');
}

/* Operations of one pattern stand together, wherever they are in the table. */
static void write_paths(struct document *document)
{
	const struct route *routes = document->routes->routes;
	const struct route *end = routes + document->routes->count;

	json_build_open_member(&document->json, "paths", '{');
	for (const struct route *first = routes; first < end; first++) {
		/* The page is no part of the API. */
		bool seen = first->kind == ROUTE_PART || first->kind == ROUTE_PAGE;

		for (const struct route *route = routes; route < first && !seen; route++)
			seen = strcmp(route->pattern, first->pattern) == 0;
		if (seen)
			continue;
		json_build_open_member(&document->json, first->pattern, '{');
		for (const struct route *route = first; route < end; route++)
			if (route->method && strcmp(route->pattern, first->pattern) == 0)
				write_operation(document, route);
		json_build_close(&document->json, '}');
	}
	json_build_close(&document->json, '}');
}

/* "bad_request, unknown_profile": the codes that come with a status. */
static void append_codes(struct text *to, int status)
{
	const char *before = "`code` is one of ";

	for (enum err_reason reason = ERR_NONE + 1; reason < ERR_REASON_COUNT; reason++) {
		const struct err_reason_info *info = err_reason_info(reason);

		if (info->http_status != status)
			continue;
		text_append_format(to, "%s%s", before, info->word);
		before = ", ";
	}
}

static void write_problems(struct json_build *json)
{
	char name[32];

	json_build_open_member(json, "responses", '{');
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		scoped_text struct text text = { 0 };

		append_codes(&text, problem_statuses[i]);
		snprintf(name, sizeof(name), "Problem%d", problem_statuses[i]);
		json_build_open_member(json, name, '{');
		json_build_member(json, "description", text.bytes ? text.bytes : "");
		json_build_raw_member(json, "content",
				      "{\"application/json\":{\"schema\":"
				      "{\"$ref\":\"#/components/schemas/Problem\"}}}");
		json_build_close(json, '}');
	}
	json_build_close(json, '}');
}

static void write_components(struct document *document)
{
	static const char problem[] =
		"{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"},"
		"\"message\":{\"type\":\"string\"},\"details\":{\"type\":\"array\",\"items\":"
		"{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"},\"message\":"
		"{\"type\":\"string\"}},\"required\":[\"code\",\"message\"]}}},"
		"\"required\":[\"code\",\"message\"],\"examples\":[{\"code\":\"instance_not_found\","
		"\"message\":\"no instance 'web'\"}]}";
	static const char key[] =
		"{\"IdempotencyKey\":{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"required\":false,"
		"\"description\":\"The same key with the same body, within a day, gives the first "
		"outcome again.\",\"schema\":{\"type\":\"string\"}}}";
	struct json_build *json = &document->json;

	json_build_open_member(json, "components", '{');
	json_build_open_member(json, "schemas", '{');
	json_build_raw_member(json, "Problem", problem);
	openapi_schema_write_all(&document->schemas, json);
	json_build_close(json, '}');
	write_problems(json);
	json_build_raw_member(json, "parameters", key);
	if (document->has_auth)
		json_build_raw_member(json, "securitySchemes",
				      "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\","
				      "\"bearerFormat\":\"JWT\"}}");
	json_build_close(json, '}');
}

static void write_document(struct document *document)
{
	struct json_build *json = &document->json;

	json_build_open(json, '{');
	json_build_member(json, "openapi", "3.1.0");
	json_build_open_member(json, "info", '{');
	json_build_member(json, "title", "hypeman");
	json_build_member(json, "version", HYPEMAN_VERSION);
	json_build_member(json, "description", "Virtual machines with GPUs on one host.");
	json_build_raw_member(json, "license",
			      "{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}");
	json_build_close(json, '}');
	json_build_raw_member(json, "servers", "[{\"url\":\"/\"}]");
	write_paths(document);
	write_components(document);
	json_build_close(json, '}');
}

int openapi_write(const struct route_table *routes, const struct proto_docs *docs, bool has_auth,
		  struct text *ret, struct err *err)
{
	scoped_free struct document *document = calloc(1, sizeof(*document));

	if (!document)
		return err_sys(err, ENOMEM, "cannot describe the API");
	document->routes = routes;
	document->docs = docs;
	document->has_auth = has_auth;
	document->json.to = ret;
	document->schemas.docs = docs;
	write_document(document);
	if (document->schemas.is_full)
		return err_set(err, ERR_INTERNAL, "the API has more than %d schemas",
			       OPENAPI_SCHEMAS_MAX);
	return ret->incomplete ? err_sys(err, ENOMEM, "cannot describe the API") : 0;
}
