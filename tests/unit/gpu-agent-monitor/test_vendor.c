/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu-agent/monitor/vendor.h"

/* How many types a text lists; -1: it is malformed. The last one is delivered. */
static int count(const char *text, struct vendor_line *ret_last)
{
	int types = 0, r;

	while ((r = vendor_next_line(&text, ret_last)) > 0)
		types++;
	return r < 0 ? -1 : types;
}

static void lists_are_read_in_every_form_that_was_seen(void **state)
{
	static const struct {
		const char *text;
		int types;
		uint32_t last_id;
		const char *last_name;
	} taken[] = {
		{ "ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n2164  : NVIDIA L40S-3B\n", 2, 2164,
		  "NVIDIA L40S-3B" },
		{ "1428 : NVIDIA H200X-141C\n", 1, 1428, "NVIDIA H200X-141C" },
		{ "1428:NVIDIA H200X-141C", 1, 1428, "NVIDIA H200X-141C" },
		{ "  7\t:   NVIDIA RTX Pro 6000 Blackwell DC-1-2Q  \n\n", 1, 7,
		  "NVIDIA RTX Pro 6000 Blackwell DC-1-2Q" },
		{ "9 : a:b\n", 1, 9, "a:b" },
		{ "id: vgpu name\n2147483647 : x\n", 1, INT32_MAX, "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct vendor_line last;

		assert_int_equal(count(taken[i].text, &last), taken[i].types);
		assert_int_equal(last.id, taken[i].last_id);
		assert_string_equal(last.name, taken[i].last_name);
	}
}

static void an_empty_list_has_no_types(void **state)
{
	static const char *const empty[] = { "", "\n", "ID    : vGPU Name\n", "  \n\n \n" };
	struct vendor_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		assert_int_equal(count(empty[i], &line), 0);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const refused[] = {
		"1145",
		"1145 :",
		"1145 : \n",
		": NVIDIA L40S-1B",
		"0 : NVIDIA L40S-1B",
		"-1 : NVIDIA L40S-1B",
		"+5 : NVIDIA L40S-1B",
		"0x479 : NVIDIA L40S-1B",
		"11 45 : NVIDIA L40S-1B",
		"2147483648 : NVIDIA L40S-1B",
		"99999999999999999999 : NVIDIA L40S-1B",
		"1 : a\nNo such device\n",
		"1 : a name that has more than the sixty-three characters there are room for here",
	};
	struct vendor_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(count(refused[i], &line), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_read_in_every_form_that_was_seen),
		cmocka_unit_test(an_empty_list_has_no_types),
		cmocka_unit_test(what_is_no_list_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
