/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"

static void setting_an_error_forgets_the_one_before(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_field(&err, "instance.name", "name is '%s'", "x"), -1);
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.field, "instance.name");
	err_add_detail(&err, "kind", "subject", "%d", 1);
	assert_int_equal(err.detail_count, 1);

	assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no device %d", 7), -1);
	assert_int_equal(err.reason, ERR_NOT_FOUND);
	assert_string_equal(err.message, "no device 7");
	assert_string_equal(err.field, "");
	assert_int_equal(err.detail_count, 0);
}

static void system_errors_end_with_their_text(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_sys(&err, -EBUSY, "cannot bind %s", "gpu"), -1);
	assert_string_equal(err.message, "cannot bind gpu: Device or resource busy");
	err_sys(&err, EBUSY, "cannot bind %s", "gpu");
	assert_string_equal(err.message, "cannot bind gpu: Device or resource busy");
	assert_int_equal(err.reason, ERR_INTERNAL);
}

static void prefix_keeps_reason_field_and_details(void **state)
{
	struct err err;

	(void)state;
	err_field(&err, "a.b", "too large");
	err_add_detail(&err, "kind", "subject", "why");
	assert_int_equal(err_prefix(&err, "start %s", "vm-7"), -1);
	assert_string_equal(err.message, "start vm-7: too large");
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.field, "a.b");
	assert_int_equal(err.detail_count, 1);
}

static void an_error_may_quote_itself(void **state)
{
	struct err err;

	(void)state;
	err_field(&err, "a.b", "inner");
	err_field(&err, err.field, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
	assert_string_equal(err.field, "a.b");
	err_prefix(&err, "<%s>", err.message);
	assert_string_equal(err.message, "<outer (inner)>: outer (inner)");
}

static void long_texts_are_cut(void **state)
{
	char text[2000];
	struct err err;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	err_field(&err, text, "%s", text);
	assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
	assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
	err_sys(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
	err_add_detail(&err, text, text, "%s", text);
	assert_int_equal(strlen(err.details[0].message), sizeof(err.details[0].message) - 1);
}

static void details_beyond_the_most_are_dropped(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_INSUFFICIENT_CAPACITY, "no room");
	for (int i = 0; i < ERR_DETAILS_MAX + 5; i++)
		err_add_detail(&err, "kind", "subject", "%d", i);
	assert_int_equal(err.detail_count, ERR_DETAILS_MAX);
	assert_string_equal(err.details[ERR_DETAILS_MAX - 1].message, "15");
}

static void words_and_reasons_belong_together(void **state)
{
	(void)state;
	for (enum err_reason r = ERR_NONE + 1; r < ERR_REASON_COUNT; r++) {
		const struct err_reason_info *info = err_reason_info(r);

		assert_int_equal(err_reason_parse(info->word), r);
		assert_in_range(info->grpc_code, 1, 16);
		assert_in_range(info->http_status, 400, 599);
	}
	assert_int_equal(err_reason_parse("no_such_word"), ERR_NONE);
	assert_int_equal(err_reason_parse(""), ERR_NONE);
	assert_int_equal(err_reason_parse("ok"), ERR_NONE);
}

/* What a status without a word becomes must still have that status' code, where one has. */
static void codes_map_to_reasons_of_their_kind(void **state)
{
	(void)state;
	assert_int_equal(err_reason_from_grpc(0), ERR_NONE);
	assert_int_equal(err_reason_from_grpc(4), ERR_OUTCOME_UNKNOWN);
	assert_int_equal(err_reason_from_grpc(5), ERR_NOT_FOUND);
	assert_int_equal(err_reason_from_grpc(12), ERR_NOT_IMPLEMENTED);
	assert_int_equal(err_reason_from_grpc(14), ERR_UNAVAILABLE);
	assert_int_equal(err_reason_from_grpc(2), ERR_INTERNAL);
	assert_int_equal(err_reason_from_grpc(99), ERR_INTERNAL);
	assert_int_equal(err_reason_from_grpc(-1), ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_an_error_forgets_the_one_before),
		cmocka_unit_test(system_errors_end_with_their_text),
		cmocka_unit_test(prefix_keeps_reason_field_and_details),
		cmocka_unit_test(an_error_may_quote_itself),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(details_beyond_the_most_are_dropped),
		cmocka_unit_test(words_and_reasons_belong_together),
		cmocka_unit_test(codes_map_to_reasons_of_their_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
