/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "api-gateway/json_check.h"
#include "common/scoped.h"

struct json_case {
	const char *text;
	size_t length;
	const char *why; /* NULL: good */
};

static const struct json_case cases[] = {
#define GOOD(text)     { text, sizeof(text) - 1, NULL },
#define BAD(text, why) { text, sizeof(text) - 1, why },
#include "json_cases.def"
};

static const struct json_limits limits = { .depth = 4, .values = 12 };

/* From a heap block of exactly this size, so that a sanitizer sees reads past it. */
static int check(const char *text, size_t length, struct err *err)
{
	char *copy = malloc(length ? length : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, length);
	r = json_check(copy, length, &limits, err);
	free(copy);
	return r;
}

static void good_and_bad_texts_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		int r = check(cases[i].text, cases[i].length, &err);

		if (!cases[i].why && r)
			fail_msg("'%s' was refused: %s", cases[i].text, err.message);
		if (cases[i].why && !r)
			fail_msg("'%s' was accepted", cases[i].text);
		if (cases[i].why && !strstr(err.message, cases[i].why))
			fail_msg("'%s': '%s' lacks '%s'", cases[i].text, err.message, cases[i].why);
		if (r)
			assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	}
}

/* Cutting anything valid short, but for a number, makes it invalid. */
static void every_proper_prefix_of_an_object_is_refused(void **state)
{
	static const char text[] = "{\"a\":[1,{\"b\":\"\\u00e9\\n\"}],\"c\":null,\"d\":-1.5e+3}";
	struct err err;

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, &err), 0);
	for (size_t length = 0; length < sizeof(text) - 1; length++)
		assert_int_equal(check(text, length, &err), -1);
}

static void depth_is_limited(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(check("[[[[]]]]", 8, &err), 0);
	assert_int_equal(check("[[[[[]]]]]", 10, &err), -1);
	assert_non_null(strstr(err.message, "4 levels"));
	assert_int_equal(check("{\"a\":[{\"b\":[]}]}", 16, &err), 0);
	assert_int_equal(check("{\"a\":[{\"b\":[[]]}]}", 18, &err), -1);
	/* Levels that were left again do not count. */
	assert_int_equal(check("[[[]],[[]],[[]]]", 16, &err), 0);
}

static void values_are_limited(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(check("[1,2,3,4,5,6,7,8,9,0,1]", 23, &err), 0);
	assert_int_equal(check("[1,2,3,4,5,6,7,8,9,0,1,2]", 25, &err), -1);
	assert_non_null(strstr(err.message, "12 values"));
	/* Keys count too. */
	assert_int_equal(check("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6}", 37, &err), -1);
}

static double seconds_for(const char *text, size_t length)
{
	static const struct json_limits wide = { .depth = 32, .values = 1000000 };
	struct timespec start, end;
	struct err err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(json_check(text, length, &wide, &err), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

/* A quadratic search for duplicates would take minutes. */
static void many_keys_take_no_quadratic_time(void **state)
{
	size_t room = 2000000, length = 0;
	scoped_free char *text = malloc(room);

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 100000; i++)
		length += (size_t)snprintf(text + length, room - length, "%c\"k%06d\":0",
					   i ? ',' : '{', 99999 - i);
	text[length++] = '}';
	assert_true(seconds_for(text, length) < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_and_bad_texts_are_told_apart),
		cmocka_unit_test(every_proper_prefix_of_an_object_is_refused),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(values_are_limited),
		cmocka_unit_test(many_keys_take_no_quadratic_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
