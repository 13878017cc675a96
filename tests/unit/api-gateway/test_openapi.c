/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "api-gateway/json_build.h"
#include "api-gateway/json_check.h"
#include "api-gateway/openapi.h"
#include "fixture.h"
#include "gpu_proto_descriptor_set.h"
#include "instance_proto_descriptor_set.h"

static struct field_table *fields;
static struct route_table table;
static struct proto_docs *docs;

static int set_up(void **state)
{
	const struct descriptor_set sets[] = {
		{ gpu_proto_descriptor_set, gpu_proto_descriptor_set_size },
		{ instance_proto_descriptor_set, instance_proto_descriptor_set_size },
	};
	struct err err;

	(void)state;
	fields = fixture_fields();
	docs = proto_docs_new(sets, 2, &err);
	return docs ? route_table_init(&table, fields, &err) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	proto_docs_free(docs);
	field_table_free(fields);
	return 0;
}

/* The document, which is valid JSON without duplicate keys; the caller frees it. */
static cJSON *document(bool has_auth)
{
	static const struct json_limits limits = { .depth = 32, .values = 100000 };
	scoped_text struct text text = { 0 };
	struct err err;

	if (openapi_write(&table, docs, has_auth, &text, &err) ||
	    json_check(text.bytes, text.length, &limits, &err))
		fail_msg("%s", err.message);
	return cJSON_ParseWithLength(text.bytes, text.length);
}

/* The member at the end of these names, the last of which is NULL. */
static const cJSON *at(const cJSON *json, ...)
{
	va_list names;
	const char *name;

	va_start(names, json);
	while ((name = va_arg(names, const char *)))
		json = cJSON_GetObjectItemCaseSensitive(json, name);
	va_end(names);
	return json;
}

static const char *text_of(const cJSON *json)
{
	const char *text = cJSON_GetStringValue(json);

	return text ? text : "(none)";
}

static void commas_come_by_themselves(void **state)
{
	scoped_text struct text text = { 0 };
	struct json_build json = { &text };

	(void)state;
	json_build_open(&json, '{');
	json_build_member(&json, "a\"", "b\n");
	json_build_open_member(&json, "c", '[');
	json_build_raw(&json, "1");
	json_build_open(&json, '{');
	json_build_close(&json, '}');
	json_build_string(&json, "d");
	json_build_close(&json, ']');
	json_build_raw_member(&json, "e", "null");
	json_build_close(&json, '}');
	assert_string_equal(text.bytes, "{\"a\\\"\":\"b\\n\",\"c\":[1,{},\"d\"],\"e\":null}");
}

static void comments_are_one_line(void **state)
{
	scoped_text struct text field = { 0 }, method = { 0 }, none = { 0 };

	(void)state;
	proto_docs_field(docs, "hypeman.instance.v1.InstanceSpec", "image", &field);
	assert_string_equal(field.bytes, "Required. \"nvidia/cuda:12.4-runtime-ubuntu22.04\"; "
					 "docker.io and library/ are filled in as Docker does.");
	proto_docs_method(docs, "hypeman.instance.v1.InstanceService", "ListInstances", &method);
	assert_string_equal(method.bytes, "Sorted by creation, oldest first.");
	proto_docs_field(docs, "hypeman.instance.v1.InstanceSpec", "nothing", &none);
	proto_docs_field(docs, "hypeman.nothing.v1.InstanceSpec", "image", &none);
	proto_docs_message(docs, "hypeman.instance.v1.InstanceService.Nothing", &none);
	assert_int_equal(none.length, 0);
	assert_true(proto_docs_is_required(docs, "hypeman.instance.v1.InstanceSpec", "image"));
	assert_false(proto_docs_is_required(docs, "hypeman.instance.v1.InstanceSpec", "size"));
}

static void null_is_where_the_gateway_prints_or_takes_it(void **state)
{
	cJSON *json = document(false);
	const cJSON *schemas = at(json, "components", "schemas", NULL);

	(void)state;
	assert_string_equal(
		text_of(cJSON_GetArrayItem(
			at(schemas, "Device", "properties", "attached_to", "type", NULL), 1)),
		"null");
	assert_string_equal(text_of(at(schemas, "Device", "properties", "name", "type", NULL)),
			    "string");
	assert_string_equal(
		text_of(cJSON_GetArrayItem(
			at(schemas, "DeviceSpecInput", "properties", "name", "type", NULL), 1)),
		"null");
	assert_string_equal(
		text_of(at(schemas, "DeviceSpecInput", "properties", "pci_address", "type", NULL)),
		"string");
	cJSON_Delete(json);
}

static void tokens_are_described_only_when_they_are_asked_for(void **state)
{
	cJSON *open = document(false), *closed = document(true);
	const cJSON *security = at(closed, "paths", "/devices", "post", "security", NULL);

	(void)state;
	assert_null(at(open, "components", "securitySchemes", NULL));
	assert_null(at(open, "paths", "/devices", "post", "responses", "401", NULL));
	assert_string_equal(
		text_of(cJSON_GetArrayItem(at(cJSON_GetArrayItem(security, 0), "bearer", NULL), 0)),
		"device:write");
	assert_non_null(at(closed, "paths", "/devices", "post", "responses", "401", NULL));
	assert_non_null(at(closed, "paths", "/health", "get", "security", NULL));
	assert_null(at(closed, "paths", "/health", "get", "responses", "401", NULL));
	cJSON_Delete(open);
	cJSON_Delete(closed);
}

static void a_join_has_the_members_of_its_parts(void **state)
{
	cJSON *json = document(false);
	const cJSON *schema = at(json, "paths", "/resources", "get", "responses", "200", "content",
				 "application/json", "schema", NULL);

	(void)state;
	assert_non_null(at(schema, "properties", "disk_breakdown", NULL));
	assert_int_equal(cJSON_GetArraySize(at(schema, "properties", "gpu", "anyOf", NULL)), 2);
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_come_by_themselves),
		cmocka_unit_test(comments_are_one_line),
		cmocka_unit_test(null_is_where_the_gateway_prints_or_takes_it),
		cmocka_unit_test(tokens_are_described_only_when_they_are_asked_for),
		cmocka_unit_test(a_join_has_the_members_of_its_parts),
	};

	return cmocka_run_group_tests_name("openapi", tests, set_up, tear_down);
}
