/* SPDX-License-Identifier: Apache-2.0 */
/* Times, base64, and the text that both are written to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "api-gateway/base64.h"
#include "api-gateway/rfc3339.h"

static void times_are_written_and_read_back(void **state)
{
	static const struct {
		int64_t seconds;
		int32_t nanos;
		const char *text;
	} cases[] = {
		{ 0, 0, "1970-01-01T00:00:00Z" },
		{ 1769860800, 0, "2026-01-31T12:00:00Z" },
		{ 951782399, 999999999, "2000-02-28T23:59:59.999999999Z" },
		{ 951782400, 500000000, "2000-02-29T00:00:00.500Z" },
		{ -1, 1000, "1969-12-31T23:59:59.000001Z" },
		{ -62135596800, 0, "0001-01-01T00:00:00Z" },
		{ 253402300799, 1, "9999-12-31T23:59:59.000000001Z" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rfc3339_text text;
		int64_t seconds;
		int32_t nanos;

		assert_int_equal(rfc3339_format(cases[i].seconds, cases[i].nanos, &text), 0);
		assert_string_equal(text.s, cases[i].text);
		assert_int_equal(rfc3339_parse(text.s, &seconds, &nanos), 0);
		assert_true(seconds == cases[i].seconds && nanos == cases[i].nanos);
	}
}

static void other_forms_of_a_time_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		int32_t nanos;
	} cases[] = {
		{ "1970-01-01t00:00:00z", 0, 0 },
		{ "1970-01-01 00:00:01+00:00", 1, 0 },
		{ "1970-01-01T01:30:00+01:30", 0, 0 },
		{ "1969-12-31T16:00:00-08:00", 0, 0 },
		{ "1970-01-01T00:00:00.1Z", 0, 100000000 },
		{ "1970-01-01T00:00:00.000000010-00:00", 0, 10 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t seconds;
		int32_t nanos;

		assert_int_equal(rfc3339_parse(cases[i].text, &seconds, &nanos), 0);
		assert_true(seconds == cases[i].seconds && nanos == cases[i].nanos);
	}
}

static void bad_times_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"now",
		"2026-01-31",
		"2026-01-31T12:00Z",
		"2026-01-31T12:00:00",
		"2026-01-31T12:00:00 Z",
		"2026-01-31T12:00:00.Z",
		"2026-01-31T12:00:00.1234567890Z",
		"2026-01-31T12:00:00Zx",
		"2026-1-31T12:00:00Z",
		"26-01-31T12:00:00Z",
		"+2026-01-31T12:00:00Z",
		"2026-00-31T12:00:00Z",
		"2026-13-31T12:00:00Z",
		"2026-01-00T12:00:00Z",
		"2026-04-31T12:00:00Z",
		"2026-02-29T12:00:00Z",
		"1900-02-29T12:00:00Z",
		"2026-01-31T24:00:00Z",
		"2026-01-31T12:60:00Z",
		"2026-01-31T12:00:60Z",
		"2026-01-31T12:00:00+24:00",
		"2026-01-31T12:00:00+01:60",
		"2026-01-31T12:00:00+0100",
		"2026-01-31T12:00:00+1",
		"0000-01-01T00:00:00Z",
		"0001-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int64_t seconds = 77;
		int32_t nanos = 77;

		if (rfc3339_parse(texts[i], &seconds, &nanos) != -EINVAL)
			fail_msg("'%s' was accepted", texts[i]);
		assert_true(seconds == 77 && nanos == 77);
	}
}

static void times_out_of_range_are_not_written(void **state)
{
	struct rfc3339_text text;

	(void)state;
	assert_int_equal(rfc3339_format(-62135596801, 0, &text), -ERANGE);
	assert_int_equal(rfc3339_format(253402300800, 0, &text), -ERANGE);
	assert_int_equal(rfc3339_format(INT64_MAX, 0, &text), -ERANGE);
	assert_int_equal(rfc3339_format(0, -1, &text), -ERANGE);
	assert_int_equal(rfc3339_format(0, 1000000000, &text), -ERANGE);
}

/* The examples of RFC 4648. */
static void base64_is_written_and_read_back(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbf", "+/+/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i][0]), back_length = 77;
		scoped_free uint8_t *back = NULL;
		scoped_text struct text text = { 0 };

		base64_append(&text, (const uint8_t *)cases[i][0], length);
		assert_string_equal(text.bytes ? text.bytes : "", cases[i][1]);
		assert_int_equal(base64_parse(cases[i][1], &back, &back_length), 0);
		assert_int_equal(back_length, length);
		if (length)
			assert_memory_equal(back, cases[i][0], length);
	}
}

static void bad_base64_is_refused(void **state)
{
	static const char *const texts[] = {
		"Z",	"Zg",	"Zg=",	  "Zm9",   "Zg===",    "=",    "====", "Z===",	    "Zm=v",
		"Zh==", "Zm9=", "Zm9v\n", "Zm 9v", "Zg==Zg==", "Zm9-", "Zm9_", "Zm\xc3\xa9"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint8_t *bytes = NULL;
		size_t length;

		if (base64_parse(texts[i], &bytes, &length) != -EINVAL)
			fail_msg("'%s' was accepted", texts[i]);
		assert_null(bytes);
	}
}

static void a_text_grows_and_stays_terminated(void **state)
{
	scoped_text struct text text = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		text_append_format(&text, "%d,", i % 10);
	text_append(&text, "", 0);
	assert_int_equal(text.length, 2000);
	assert_int_equal(strlen(text.bytes), 2000);
	assert_false(text.incomplete);
	text_done(&text);
	assert_null(text.bytes);
	text_append_string(&text, "again");
	assert_string_equal(text.bytes, "again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_and_read_back),
		cmocka_unit_test(other_forms_of_a_time_are_read),
		cmocka_unit_test(bad_times_are_refused),
		cmocka_unit_test(times_out_of_range_are_not_written),
		cmocka_unit_test(base64_is_written_and_read_back),
		cmocka_unit_test(bad_base64_is_refused),
		cmocka_unit_test(a_text_grows_and_stays_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
