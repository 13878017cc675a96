/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/json_read.h"
#include "api-gateway/json_write.h"
#include "api-gateway/proto_message.h"
#include "fixture.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"
#include "kinds.pb-c.h"

typedef Hypeman__Instance__V1__InstanceSpec wire_spec;

static struct field_table *fields;

static int set_up(void **state)
{
	(void)state;
	fields = fixture_fields();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	field_table_free(fields);
	return 0;
}

static int read_as(const ProtobufCMessageDescriptor *type, const char *json, ProtobufCMessage **ret,
		   struct err *err)
{
	return json_read(fixture_message(fields, type), json, strlen(json), ret, err);
}

static wire_spec *read_spec(const char *json)
{
	ProtobufCMessage *message = NULL;
	struct err err;

	if (read_as(&hypeman__instance__v1__instance_spec__descriptor, json, &message, &err))
		fail_msg("%s", err.message);
	return (wire_spec *)message;
}

static void the_documented_body_is_read(void **state)
{
	wire_spec *spec =
		read_spec("{\"name\":\"ml-training\",\"image\":\"nvidia/cuda:12.4\","
			  "\"vcpus\":4,\"size\":\"8GB\",\"gpu\":{\"profile\":\"L40S-1Q\"}}");

	(void)state;
	assert_string_equal(spec->name, "ml-training");
	assert_int_equal(spec->vcpus_opt_case,
			 HYPEMAN__INSTANCE__V1__INSTANCE_SPEC__VCPUS_OPT_VCPUS);
	assert_int_equal(spec->vcpus, 4);
	assert_string_equal(spec->gpu->profile, "L40S-1Q");
	assert_null(spec->network);
	assert_string_equal(spec->hypervisor, "");
	proto_message_free(&spec->base);
}

static void null_is_absent_everywhere(void **state)
{
	wire_spec *spec = read_spec("{\"name\":null,\"vcpus\":null,\"gpu\":null,\"cmd\":null,"
				    "\"env\":null,\"network\":{\"enabled\":null}}");

	(void)state;
	assert_string_equal(spec->name, "");
	assert_int_equal(spec->vcpus_opt_case, 0);
	assert_null(spec->gpu);
	assert_int_equal(spec->n_cmd, 0);
	assert_int_equal(spec->n_env, 0);
	assert_int_equal(spec->network->enabled_opt_case, 0);
	proto_message_free(&spec->base);
}

static void false_and_zero_are_present(void **state)
{
	wire_spec *spec = read_spec("{\"vcpus\":0,\"network\":{\"enabled\":false}}");

	(void)state;
	assert_int_equal(spec->vcpus_opt_case, 5);
	assert_int_equal(spec->network->enabled_opt_case, 1);
	assert_false(spec->network->enabled);
	proto_message_free(&spec->base);
}

static void numbers_with_an_integral_value_are_whole(void **state)
{
	static const char *const texts[] = { "{\"vcpus\":4}", "{\"vcpus\":4.0}", "{\"vcpus\":4e0}",
					     "{\"vcpus\":0.4e1}", "{\"vcpus\":400e-2}" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		wire_spec *spec = read_spec(texts[i]);

		assert_int_equal(spec->vcpus, 4);
		proto_message_free(&spec->base);
	}
}

/* The message names the field's path, the value, and what is accepted. */
static void wrong_values_are_named(void **state)
{
	static const struct {
		const char *json, *field, *message;
	} cases[] = {
		{ "{\"a_int32\":2147483648}", "a_int32",
		  "a_int32 is 2147483648, must be a whole number from -2147483648 to 2147483647" },
		{ "{\"a_int32\":-2147483649}", "a_int32", "-2147483649" },
		{ "{\"a_uint32\":-1}", "a_uint32", "0 to 4294967295" },
		{ "{\"a_fixed32\":4294967296}", "a_fixed32", "0 to 4294967295" },
		{ "{\"a_int64\":1e17}", "a_int64", "-9007199254740991 to 9007199254740991" },
		{ "{\"a_uint64\":-1}", "a_uint64", "0 to 9007199254740991" },
		{ "{\"a_uint64\":0.5}", "a_uint64", "whole number" },
		{ "{\"a_int64\":\"1\"}", "a_int64", "a_int64 is '1', must be a whole number" },
		{ "{\"a_float\":1e39}", "a_float", "a_float is 9.9999999999999994e+38" },
		{ "{\"a_double\":\"1\"}", "a_double", "must be a number" },
		{ "{\"a_bool\":1}", "a_bool", "a_bool is 1, must be true or false" },
		{ "{\"a_string\":true}", "a_string", "a_string is true, must be a text" },
		{ "{\"a_bytes\":\"a\"}", "a_bytes", "must be a text in base64" },
		{ "{\"a_bytes\":\"a-b_\"}", "a_bytes", "base64" },
		{ "{\"a_bytes\":\"YR==\"}", "a_bytes", "base64" },
		{ "{\"a_bytes\":\"====\"}", "a_bytes", "base64" },
		{ "{\"a_bytes\":\"YQ==YQ==\"}", "a_bytes", "base64" },
		{ "{\"a_time\":\"2026-02-29T00:00:00Z\"}", "a_time", "must be a time like" },
		{ "{\"a_time\":1}", "a_time", "a_time is 1, must be a time like" },
		{ "{\"a_message\":[]}", "a_message", "a_message is a list, must be an object" },
		{ "{\"a_message\":{\"a_message\":{\"a_bool\":0}}}", "a_message.a_message.a_bool",
		  "a_message.a_message.a_bool is 0" },
		{ "{\"int32s\":[1,2,\"3\"]}", "int32s[2]", "int32s[2] is '3'" },
		{ "{\"int32s\":{}}", "int32s", "int32s is an object, must be a list" },
		{ "{\"messages\":[{},{\"a_bool\":null,\"a_int32\":[]}]}", "messages[1].a_int32",
		  "messages[1].a_int32 is a list" },
		{ "{\"by_text\":{\"k\":1}}", "by_text.k", "by_text.k is 1, must be a text" },
		{ "{\"by_text\":{\"k\":null}}", "by_text.k", "by_text.k is null" },
		{ "{\"by_number\":{\"x\":{}}}", "by_number.x", "by_number.x is 'x'" },
		{ "{\"by_number\":{\" 1\":{}}}", "by_number. 1", "whole number" },
		{ "{\"by_number\":{\"01\":{}}}", "by_number.01", "whole number" },
		{ "{\"by_number\":{\"-0\":{}}}", "by_number.-0", "whole number" },
		{ "{\"by_number\":{\"-9007199254740992\":{}}}", "by_number.-9007199254740992",
		  "-9007199254740991 to" },
		{ "{\"by_truth\":{\"yes\":1}}", "by_truth.yes", "true or false" },
		{ "{\"left\":\"a\",\"right\":{}}", "right", "together with another" },
		{ "{\"maybe_opt\":1}", "", "unknown field 'maybe_opt'" },
		{ "{\"aInt32\":1}", "", "unknown field 'aInt32', known are: a_int32, a_sint32" },
		{ "{\"a_message\":{\"x\":1}}", "a_message", "unknown field a_message: 'x'" },
		{ "{\"a_bool\":\"a\\u0007\xc3\xa9\"}", "a_bool", "a_bool is 'a?\xc3\xa9'" },
		{ "{\"a_bool\":\"0123456789012345678901234567890123456789X\"}", "a_bool",
		  "'0123456789012345678901234567890123456789...'" },
		{ "{\"a_bool\":\"012345678901234567890123456789012345678\xe2\x82\xac\"}", "a_bool",
		  "'012345678901234567890123456789012345678...'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ProtobufCMessage *message = NULL;
		struct err err;

		if (!read_as(&test__kinds__v1__kinds__descriptor, cases[i].json, &message, &err))
			fail_msg("%s was accepted", cases[i].json);
		assert_null(message);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.field, cases[i].field);
		if (!strstr(err.message, cases[i].message))
			fail_msg("%s: %s", cases[i].json, err.message);
	}
}

static void a_request_that_takes_nothing_gets_an_empty_object(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(json_read_empty("{}", 2, &err), 0);
	assert_int_equal(json_read_empty(" { } ", 5, &err), 0);
	assert_int_equal(json_read_empty("{\"force\":1}", 11, &err), -1);
	assert_string_equal(err.message, "unknown field 'force', this request takes none");
	assert_int_equal(json_read_empty("[]", 2, &err), -1);
	assert_int_equal(json_read_empty("{", 1, &err), -1);
}

static void enums_are_their_texts(void **state)
{
	const ProtobufCMessageDescriptor *type =
		&hypeman__instance__v1__list_instances_request__descriptor;
	ProtobufCMessage *message = NULL;
	struct err err;

	(void)state;
	assert_int_equal(read_as(type, "{\"state\":\"Standby\"}", &message, &err), 0);
	assert_int_equal(((Hypeman__Instance__V1__ListInstancesRequest *)message)->state,
			 HYPEMAN__INSTANCE__V1__INSTANCE_STATE__INSTANCE_STATE_STANDBY);
	proto_message_free(message);
	assert_int_equal(read_as(type, "{\"state\":7}", &message, &err), -1);
	assert_int_equal(read_as(type, "{\"state\":\"standby\"}", &message, &err), -1);
	assert_string_equal(err.message,
			    "state is 'standby', must be one of Created, Initializing, Running, "
			    "Paused, Shutdown, Stopped, Standby, Unknown");
	assert_int_equal(read_as(type, "{\"state\":\"INSTANCE_STATE_STANDBY\"}", &message, &err),
			 -1);
}

static void assert_writes(const ProtobufCMessage *message, const char *expected)
{
	scoped_text struct text json = { 0 };
	struct err err;

	if (json_write(&json, fixture_message(fields, message->descriptor), message, &err))
		fail_msg("%s", err.message);
	assert_string_equal(json.bytes, expected);
}

static void assert_not_written(const ProtobufCMessage *message, const char *word)
{
	scoped_text struct text json = { 0 };
	struct err err;

	assert_int_equal(
		json_write(&json, fixture_message(fields, message->descriptor), message, &err), -1);
	assert_int_equal(err.reason, ERR_INTERNAL);
	assert_non_null(strstr(err.message, word));
}

static void unset_fields_follow_the_rules(void **state)
{
	Hypeman__Instance__V1__Instance instance = HYPEMAN__INSTANCE__V1__INSTANCE__INIT;
	Hypeman__Gpu__V1__GpuStatus gpu = HYPEMAN__GPU__V1__GPU_STATUS__INIT;
	Hypeman__Gpu__V1__GetHostResponse host = HYPEMAN__GPU__V1__GET_HOST_RESPONSE__INIT;

	(void)state;
	assert_writes(&instance.base,
		      "{\"id\":\"\",\"name\":\"\",\"image\":\"\",\"size\":\"\","
		      "\"overlay_size\":\"\",\"vcpus\":0,\"env\":{},\"expires_at\":null,"
		      "\"has_snapshot\":false,\"hypervisor\":\"\",\"volumes\":[],"
		      "\"devices\":[],\"hotplug_size\":\"\",\"disk_io_bps\":\"\","
		      "\"autostart\":false,\"kernel\":\"\",\"principal\":\"\"}");
	assert_writes(&gpu.base, "{\"total_slots\":0,\"used_slots\":0}");
	assert_writes(&host.base, "{\"generation\":0,\"simulated\":false,\"gpu\":null,"
				  "\"physical_gpus\":[]}");
}

static void set_fields_follow_the_rules(void **state)
{
	Hypeman__Gpu__V1__GpuProfile profile = HYPEMAN__GPU__V1__GPU_PROFILE__INIT;
	Hypeman__Gpu__V1__GpuProfile *profiles[] = { &profile, &profile };
	Hypeman__Gpu__V1__GpuStatus gpu = HYPEMAN__GPU__V1__GPU_STATUS__INIT;

	(void)state;
	profile.name = (char *)(uintptr_t) "L40S-1Q";
	profile.framebuffer_mb = 1024;
	profile.available = 59;
	gpu.mode = HYPEMAN__GPU__V1__GPU_MODE__GPU_MODE_VGPU;
	gpu.total_slots = 64;
	gpu.used_slots = 5;
	gpu.n_profiles = 2;
	gpu.profiles = profiles;
	assert_writes(&gpu.base,
		      "{\"mode\":\"vgpu\",\"total_slots\":64,\"used_slots\":5,\"profiles\":["
		      "{\"name\":\"L40S-1Q\",\"framebuffer_mb\":1024,\"available\":59},"
		      "{\"name\":\"L40S-1Q\",\"framebuffer_mb\":1024,\"available\":59}]}");
	gpu.mode = 77; /* from a newer agent */
	gpu.n_profiles = 0;
	assert_writes(&gpu.base, "{\"total_slots\":64,\"used_slots\":5}");
}

static void what_json_cannot_say_is_an_error(void **state)
{
	Hypeman__Instance__V1__Resource resource = HYPEMAN__INSTANCE__V1__RESOURCE__INIT;
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Hypeman__Instance__V1__Instance instance = HYPEMAN__INSTANCE__V1__INSTANCE__INIT;

	(void)state;
	resource.capacity = 9007199254740991;
	assert_writes(&resource.base,
		      "{\"type\":\"\",\"capacity\":9007199254740991,\"effective_limit\":0,"
		      "\"allocated\":0,\"available\":0,\"oversub_ratio\":0,\"source\":\"\"}");
	resource.capacity++;
	assert_not_written(&resource.base, "capacity is too large");
	resource.capacity = 0;
	resource.oversub_ratio = __builtin_inf();
	assert_not_written(&resource.base, "oversub_ratio");
	time.seconds = 253402300800;
	instance.created_at = &time;
	assert_not_written(&instance.base, "created_at");
}

static void strings_are_escaped_and_repaired(void **state)
{
	Hypeman__Instance__V1__StreamLogsResponse line =
		HYPEMAN__INSTANCE__V1__STREAM_LOGS_RESPONSE__INIT;

	(void)state;
	line.line = (char *)(uintptr_t) "\"\\\b\n\x01\x7f/\xc3\xa9\xff\xe2\x82";
	assert_writes(&line.base, "{\"line\":\"\\\"\\\\\\u0008\\n\\u0001\\u007f/\xc3\xa9"
				  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
}

static void descriptors_that_no_set_describes_are_refused(void **state)
{
	struct err err;
	struct field_table *empty = field_table_new(NULL, 0, &err);

	(void)state;
	assert_non_null(empty);
	assert_null(field_table_message(empty, &test__kinds__v1__kinds__descriptor, &err));
	assert_non_null(strstr(err.message, "test.kinds.v1.Kinds"));
	field_table_free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_body_is_read),
		cmocka_unit_test(null_is_absent_everywhere),
		cmocka_unit_test(false_and_zero_are_present),
		cmocka_unit_test(numbers_with_an_integral_value_are_whole),
		cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(a_request_that_takes_nothing_gets_an_empty_object),
		cmocka_unit_test(enums_are_their_texts),
		cmocka_unit_test(unset_fields_follow_the_rules),
		cmocka_unit_test(set_fields_follow_the_rules),
		cmocka_unit_test(what_json_cannot_say_is_an_error),
		cmocka_unit_test(strings_are_escaped_and_repaired),
		cmocka_unit_test(descriptors_that_no_set_describes_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
