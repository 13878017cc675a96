/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/proto_message.h"
#include "api-gateway/route.h"
#include "fixture.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"

typedef Hypeman__Instance__V1__StreamLogsRequest wire_logs_request;

static struct field_table *fields;
static struct route_table table;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	fields = fixture_fields();
	return route_table_init(&table, fields, &err);
}

static int tear_down(void **state)
{
	(void)state;
	field_table_free(fields);
	return 0;
}

static const struct route *find(const char *method, const char *text, char *allow, struct err *err)
{
	struct url_path path;

	assert_int_equal(url_path_parse(text, &path, err), 0);
	return route_find(&table, method, &path, allow, 64, err);
}

static void every_documented_request_has_its_rpc(void **state)
{
	static const struct {
		const char *method, *path, *rpc;
	} cases[] = {
		{ "GET", "/instances", "ListInstances" },
		{ "HEAD", "/instances", "ListInstances" },
		{ "POST", "/instances", "CreateInstance" },
		{ "GET", "/instances/a", "GetInstance" },
		{ "GET", "/instances/logs", "GetInstance" },
		{ "DELETE", "/instances/a%2fb", "DeleteInstance" },
		{ "GET", "/instances/a/logs", "StreamLogs" },
		{ "GET", "/instances/logs/logs", "StreamLogs" },
		{ "POST", "/instances/a/stop", "StopInstance" },
		{ "POST", "/instances/a/start", "StartInstance" },
		{ "POST", "/instances/a/standby", "StandbyInstance" },
		{ "POST", "/instances/a/restore", "RestoreInstance" },
		{ "GET", "/instances/a/wait", "WaitInstance" },
		{ "GET", "/instances/a/stats", "GetInstanceStats" },
		{ "GET", "/instances/a/stat", "StatPath" },
		{ "POST", "/instances/a/volumes/b", "AttachVolume" },
		{ "DELETE", "/instances/a/volumes/b", "DetachVolume" },
		{ "GET", "/images", "ListImages" },
		{ "POST", "/images", "CreateImage" },
		{ "GET", "/images/a%2fb%2fc:d", "GetImage" },
		{ "DELETE", "/images/a", "DeleteImage" },
		{ "GET", "/volumes", "ListVolumes" },
		{ "POST", "/volumes", "CreateVolume" },
		{ "GET", "/volumes/a", "GetVolume" },
		{ "DELETE", "/volumes/a", "DeleteVolume" },
		{ "GET", "/devices", "ListDevices" },
		{ "POST", "/devices", "RegisterDevice" },
		{ "GET", "/devices/available", "ListAvailableDevices" },
		{ "GET", "/devices/a", "GetDevice" },
		{ "DELETE", "/devices/a", "UnregisterDevice" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct route *route = find(cases[i].method, cases[i].path, NULL, &err);

		if (!route)
			fail_msg("%s: %s", cases[i].path, err.message);
		assert_string_equal(route->rpc, cases[i].rpc);
	}
	assert_int_equal(find("GET", "/health", NULL, &err)->kind, ROUTE_HEALTH);
	assert_int_equal(find("GET", "/resources", NULL, &err)->kind, ROUTE_JOIN);
}

static void unknown_paths_are_not_found(void **state)
{
	static const char *const paths[] = {
		"//",
		"/Health",
		"/health/",
		"/health/x",
		"/instances/",
		"/instances//logs",
		"/instances/a/",
		"/instances/a/b",
		"//instances",
		"/gpu",
		"/instances/a/logs/",
	};
	char allow[64] = "";
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (find("GET", paths[i], allow, &err))
			fail_msg("%s has a route", paths[i]);
		assert_int_equal(err.reason, ERR_NOT_FOUND);
		assert_string_equal(allow, "");
	}
}

static void other_methods_are_told_what_is_allowed(void **state)
{
	static const struct {
		const char *method, *path, *allow;
	} cases[] = {
		{ "POST", "/health", "GET, HEAD, OPTIONS" },
		{ "PUT", "/instances", "GET, HEAD, POST, OPTIONS" },
		{ "POST", "/instances/a", "GET, HEAD, DELETE, OPTIONS" },
		{ "OPTIONS", "/instances/a/logs", "GET, HEAD, OPTIONS" },
		{ "DELETE", "/devices/available", "GET, HEAD, OPTIONS" },
		{ "OPTIONS", "/devices/x", "GET, HEAD, DELETE, OPTIONS" },
		{ "GET", "/instances/a/volumes/b", "POST, DELETE, OPTIONS" },
		{ "get", "/health", "GET, HEAD, OPTIONS" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char allow[64] = "";

		assert_null(find(cases[i].method, cases[i].path, allow, &err));
		assert_int_equal(err.reason, ERR_METHOD_NOT_ALLOWED);
		assert_string_equal(allow, cases[i].allow);
	}
}

static int fill_logs(const char *query, wire_logs_request **ret, struct err *err)
{
	const struct route *route = find("GET", "/instances/a%2fb/logs", NULL, err);
	ProtobufCMessage *request = proto_message_new(route->request->pb);
	struct url_path path;

	assert_non_null(request);
	assert_int_equal(url_path_parse("/instances/a%2fb/logs", &path, err), 0);
	*ret = (wire_logs_request *)request;
	return route_fill(route, &path, query, request, err);
}

static void path_and_query_fill_the_request(void **state)
{
	wire_logs_request *request;
	struct err err;

	(void)state;
	assert_int_equal(fill_logs(NULL, &request, &err), 0);
	assert_string_equal(request->id, "a/b");
	assert_int_equal(request->tail_opt_case, 0);
	assert_false(request->follow);
	proto_message_free(&request->base);

	assert_int_equal(fill_logs("source=vmm&tail=0&follow=true", &request, &err), 0);
	assert_int_equal(request->source, HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_VMM);
	assert_int_equal(request->tail_opt_case, 3);
	assert_int_equal(request->tail, 0);
	assert_true(request->follow);
	proto_message_free(&request->base);
}

static void wrong_queries_are_named(void **state)
{
	static const struct {
		const char *query, *field, *message;
	} cases[] = {
		{ "tial=1", "tial",
		  "unknown query parameter 'tial', known are: tail follow source" },
		{ "id=other", "id", "unknown query parameter 'id'" },
		{ "=1", "", "unknown query parameter ''" },
		{ "tail", "tail", "tail is '', must be a whole number" },
		{ "tail=+1", "tail", "tail is ' 1'" },
		{ "tail=%2b1", "tail", "tail is '+1'" },
		{ "tail=0x10", "tail", "tail is '0x10'" },
		{ "tail=1&tail=1", "tail", "given twice" },
		{ "tail=1&t%61il=2", "tail", "given twice" },
		{ "follow=TRUE", "follow", "follow is 'TRUE', must be true or false" },
		{ "source=QEMU", "source", "source is 'QEMU', must be one of app, vmm, hypeman" },
		{ "source=LOG_SOURCE_APP", "source", "must be one of" },
	};
	wire_logs_request *request;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!fill_logs(cases[i].query, &request, &err))
			fail_msg("%s was accepted", cases[i].query);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.field, cases[i].field);
		if (!strstr(err.message, cases[i].message))
			fail_msg("%s: %s", cases[i].query, err.message);
		proto_message_free(&request->base);
	}
}

static void routes_without_an_rpc_take_no_query(void **state)
{
	struct url_path path;
	struct err err;
	const struct route *route = find("GET", "/health", NULL, &err);

	(void)state;
	assert_int_equal(url_path_parse("/health", &path, &err), 0);
	assert_int_equal(route_fill(route, &path, NULL, NULL, &err), 0);
	assert_int_equal(route_fill(route, &path, "", NULL, &err), 0);
	assert_int_equal(route_fill(route, &path, "a=1", NULL, &err), -1);
	assert_non_null(strstr(err.message, "known are: none"));
}

static void check_texts(const struct field *field, unsigned depth)
{
	assert_true(depth < 16);
	if (field->pb->type == PROTOBUF_C_TYPE_ENUM) {
		const ProtobufCEnumDescriptor *type = field->pb->descriptor;

		for (unsigned i = 0; i < type->n_values; i++)
			if (type->values[i].value != 0 && !field->enum_texts[i])
				fail_msg("json_names.def has no text for %s.%s", type->name,
					 type->values[i].name);
	}
	for (unsigned i = 0; field->message && i < field->message->pb->n_fields; i++)
		check_texts(&field->message->fields[i], depth + 1);
}

static void every_enum_of_the_api_has_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < table.count; i++) {
		const struct route *route = &table.routes[i];

		for (unsigned j = 0; route->request && j < route->request->pb->n_fields; j++)
			check_texts(&route->request->fields[j], 0);
		if (route->answer)
			check_texts(route->answer, 0);
		for (unsigned j = 0; route->kind == ROUTE_PART && !route->answer &&
				     j < route->response->pb->n_fields;
		     j++)
			check_texts(&route->response->fields[j], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_documented_request_has_its_rpc),
		cmocka_unit_test(unknown_paths_are_not_found),
		cmocka_unit_test(other_methods_are_told_what_is_allowed),
		cmocka_unit_test(path_and_query_fill_the_request),
		cmocka_unit_test(wrong_queries_are_named),
		cmocka_unit_test(routes_without_an_rpc_take_no_query),
		cmocka_unit_test(every_enum_of_the_api_has_texts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
