/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/rate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void rates_read_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t bps;
		const char *again;
	} good[] = {
		{ "1Gbps", 1000000000, "1Gbps" },
		{ "100Mbps", 100000000, "100Mbps" },
		{ "100 mbps", 100000000, "100Mbps" },
		{ "1500Mbps", 1500000000, "1500Mbps" },
		{ "64000", 64000, "64Kbps" },
		{ "8bps", 8, "8bps" },
		{ "0", 0, "0bps" },
		{ "9223372036854775807", INT64_MAX, "9223372036854775807bps" },
		{ "2TBPS", UINT64_C(2000000000000), "2Tbps" },
	};
	uint64_t bps;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(rate_parse(good[i].text, &bps), 0);
		assert_int_equal(bps, good[i].bps);
		assert_string_equal(RATE_STR(bps), good[i].again);
	}
}

static void other_forms_are_refused(void **state)
{
	static const char *const bad[] = { "",	    "bps",   "-1Mbps", "1.5Gbps", "1  Mbps", "1Mb",
					   "1MB/s", "Mbps1", " 1Mbps", "1Mbps ",  "0x1bps" };
	uint64_t bps = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rate_parse(bad[i], &bps), -EINVAL);
	assert_int_equal(rate_parse("9223372036854775808", &bps), -ERANGE);
	assert_int_equal(rate_parse("9223373Tbps", &bps), -ERANGE);
	assert_int_equal(bps, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_read_as_people_write_them),
		cmocka_unit_test(other_forms_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
