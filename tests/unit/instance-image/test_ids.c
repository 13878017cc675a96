/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_ids.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void the_users_range_is_found_by_name_and_number(void **state)
{
	uint32_t first = 0;

	(void)state;
	assert_int_equal(
		image_ids_parse("root:1:65536\nhypeman:100000:131072\n", "hypeman", 999, &first),
		0);
	assert_int_equal(first, 100000);
	assert_int_equal(
		image_ids_parse("x:1:65536\n\n# c\n999:200000:65536", "hypeman", 999, &first), 0);
	assert_int_equal(first, 200000);
	assert_int_equal(
		image_ids_parse("hypeman:5:1000\nhypeman:300000:65536\n", "hypeman", 999, &first),
		0);
	assert_int_equal(first, 300000);
}

static void other_lines_are_passed_over(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"hypeman\n",
		"hypeman:100000\n",
		"hypeman:100000:65535\n",
		"hypeman2:100000:65536\n",
		"hypeman:0:65536\n",
		"hypeman:4294967295:65536\n",
		"hypeman:100000:65536:x\n",
		"hypeman:-1:65536\n",
		"hypeman:a:b\n",
		"other:100000:65536\n99:100000:65536\n",
	};
	uint32_t first = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(image_ids_parse(texts[i], "hypeman", 999, &first), -ENOENT);
	assert_int_equal(first, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_users_range_is_found_by_name_and_number),
		cmocka_unit_test(other_lines_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
