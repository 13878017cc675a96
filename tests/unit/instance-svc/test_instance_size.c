/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "instance-svc/size.h"

static void sizes_are_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} taken[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "512B", 512 },
		{ "1K", 1024 },
		{ "1kb", 1024 },
		{ "512MB", UINT64_C(512) << 20 },
		{ "512 MB", UINT64_C(512) << 20 },
		{ "512MiB", UINT64_C(512) << 20 },
		{ "1GB", UINT64_C(1) << 30 },
		{ "2G", UINT64_C(2) << 30 },
		{ "3t", UINT64_C(3) << 40 },
		{ "8388607T", UINT64_C(8388607) << 40 },
		{ "9223372036854775807", INT64_MAX },
	};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		assert_int_equal(size_parse(taken[i].text, &bytes), 0);
		assert_int_equal(bytes, taken[i].bytes);
	}
}

static void other_forms_are_refused_and_change_nothing(void **state)
{
	static const char *const refused[] = { "",	"G",	  "-1G",  "+1G",  " 1G",  "1G ",
					       "1.5G",	"1  G",	  "1XB",  "1GBB", "1Gi ", "0x10",
					       "1 G B", "\0361G", "1\nG", "1iB",  "1BB" };
	uint64_t bytes = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(size_parse(refused[i], &bytes), -EINVAL);
		assert_int_equal(bytes, 42);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	static const char *const refused[] = { "8388608T", "9223372036854775808",
					       "99999999999999999999999999", "9007199254740992K" };
	uint64_t bytes = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(size_parse(refused[i], &bytes), -ERANGE);
		assert_int_equal(bytes, 42);
	}
}

static void sizes_are_written_in_the_largest_even_unit(void **state)
{
	(void)state;
	assert_string_equal(SIZE_STR(UINT64_C(8) << 30), "8GB");
	assert_string_equal(SIZE_STR(UINT64_C(1536) << 20), "1536MB");
	assert_string_equal(SIZE_STR(UINT64_C(1) << 40), "1TB");
	assert_string_equal(SIZE_STR(1023), "1023B");
	assert_string_equal(SIZE_STR(1024), "1KB");
	assert_string_equal(SIZE_STR(0), "0B");
}

static void what_is_written_reads_back(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 1025, 3 << 20, UINT64_C(5) << 30, INT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t bytes;

		assert_int_equal(size_parse(SIZE_STR(sizes[i]), &bytes), 0);
		assert_int_equal(bytes, sizes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(other_forms_are_refused_and_change_nothing),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(sizes_are_written_in_the_largest_even_unit),
		cmocka_unit_test(what_is_written_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
