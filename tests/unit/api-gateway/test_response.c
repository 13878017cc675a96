/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "api-gateway/json_check.h"
#include "api-gateway/response.h"

static const struct json_limits limits = { .depth = 8, .values = 1000 };

/* Valid JSON with this text member; the caller frees it. */
static cJSON *parse(const struct text *body)
{
	struct err err;
	cJSON *json;

	if (json_check(body->bytes, body->length, &limits, &err))
		fail_msg("%s: %s", err.message, body->bytes);
	json = cJSON_ParseWithLength(body->bytes, body->length);
	assert_non_null(json);
	return json;
}

static const char *member(const cJSON *json, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static void every_reason_has_its_status_and_advice(void **state)
{
	(void)state;
	for (enum err_reason reason = ERR_NONE + 1; reason < ERR_REASON_COUNT; reason++) {
		const struct err_reason_info *info = err_reason_info(reason);
		struct response response = { 0 };
		scoped_text struct text head = { 0 };
		char status_line[32];
		struct err err;
		cJSON *json;

		err_set(&err, reason, "the sentence of %s", info->word);
		response_set_problem(&response, &err);
		json = parse(&response.body);
		assert_string_equal(member(json, "code"), info->word);
		assert_string_equal(member(json, "message"), err.message);
		assert_null(cJSON_GetObjectItem(json, "details"));
		cJSON_Delete(json);

		response_write_head(&response, false, &head);
		snprintf(status_line, sizeof(status_line), "HTTP/1.1 %d ", info->http_status);
		assert_int_equal(strncmp(head.bytes, status_line, strlen(status_line)), 0);
		assert_null(strstr(head.bytes, "Unknown")); /* a status without a phrase */
		assert_int_equal(strstr(head.bytes, "\r\nRetry-After: 1\r\n") != NULL,
				 info->retry == RETRY_LATER);
		assert_int_equal(strstr(head.bytes, "\r\nx-should-retry: false\r\n") != NULL,
				 info->retry == RETRY_NEVER);
		response_done(&response);
	}
}

static void field_and_details_are_listed(void **state)
{
	struct response response = { 0 };
	struct err err;
	const cJSON *details;
	cJSON *json;

	(void)state;
	err_field(&err, "gpu.profile", "no profile \"%s\"\n", "x\xff");
	err_add_detail(&err, "known", "", "L40S-1Q");
	err_add_detail(&err, "size_locked", "0000:41:00.0", "holds %d MiB", 1024);
	response_set_problem(&response, &err);
	json = parse(&response.body);
	assert_string_equal(member(json, "message"), "no profile \"x\xef\xbf\xbd\"\n");
	details = cJSON_GetObjectItem(json, "details");
	assert_int_equal(cJSON_GetArraySize(details), 3);
	assert_string_equal(member(cJSON_GetArrayItem(details, 0), "code"), "field");
	assert_string_equal(member(cJSON_GetArrayItem(details, 0), "message"), "gpu.profile");
	assert_string_equal(member(cJSON_GetArrayItem(details, 1), "message"), "L40S-1Q");
	assert_string_equal(member(cJSON_GetArrayItem(details, 2), "code"), "size_locked");
	assert_string_equal(member(cJSON_GetArrayItem(details, 2), "message"),
			    "0000:41:00.0: holds 1024 MiB");
	cJSON_Delete(json);
	response_done(&response);
}

static void a_problem_replaces_a_half_written_answer(void **state)
{
	struct response response = { .status = 200 };
	struct err err;
	cJSON *json;

	(void)state;
	text_append_string(&response.body, "{\"instances\":[");
	err_set(&err, ERR_UNAVAILABLE, "gone");
	response_set_problem(&response, &err);
	assert_int_equal(response.status, 503);
	json = parse(&response.body);
	assert_string_equal(member(json, "code"), "unavailable");
	cJSON_Delete(json);
	response_done(&response);
}

static void heads_say_what_they_must(void **state)
{
	struct response response = { .status = 405, .allow = "GET, HEAD" };
	struct response empty = { .status = 204 };
	scoped_text struct text head = { 0 };
	scoped_text struct text empty_head = { 0 };

	(void)state;
	text_append_string(&response.body, "{}");
	response_write_head(&response, true, &head);
	assert_non_null(strstr(head.bytes, "HTTP/1.1 405 Method Not Allowed\r\nDate: "));
	assert_non_null(strstr(head.bytes, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(head.bytes, "\r\nContent-Length: 2\r\n"));
	assert_non_null(strstr(head.bytes, "\r\nAllow: GET, HEAD\r\n"));
	assert_non_null(strstr(head.bytes, "\r\nConnection: close\r\n\r\n"));

	response_write_head(&empty, false, &empty_head);
	assert_null(strstr(empty_head.bytes, "Content-Type: "));
	assert_null(strstr(empty_head.bytes, "Content-Length"));
	assert_null(strstr(empty_head.bytes, "Allow"));
	assert_non_null(strstr(empty_head.bytes, "\r\nConnection: keep-alive\r\n\r\n"));
	response_done(&response);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_its_status_and_advice),
		cmocka_unit_test(field_and_details_are_listed),
		cmocka_unit_test(a_problem_replaces_a_half_written_answer),
		cmocka_unit_test(heads_say_what_they_must),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
