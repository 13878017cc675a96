/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/duration.h"

static void durations_are_whole_numbers_with_units(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "0s", 0 },	     { "60s", 60000 },	  { "5m", 300000 },
		{ "1m30s", 90000 },  { "500ms", 500 },	  { "2h", 7200000 },
		{ "1s500ms", 1500 }, { "24h", 86400000 }, { "86400000ms", 86400000 },
		{ "007s", 7000 },
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (duration_parse(good[i].text, &ms))
			fail_msg("'%s' is refused", good[i].text);
		assert_int_equal(ms, good[i].ms);
	}
}

static void anything_else_is_refused(void **state)
{
	static const char *const bad[] = {
		"",    "60",	"s",	"1.5s",	      "-1s",   "+1s",
		"1 s", " 1s",	"1s ",	"1S",	      "1d",    "1m30",
		"25h", "24h1s", "0x1s", "86400001ms", "1s,2s", "99999999999999999999999999s",
		"1sm",
	};
	int64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (duration_parse(bad[i], &ms) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		assert_int_equal(ms, 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_whole_numbers_with_units),
		cmocka_unit_test(anything_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
