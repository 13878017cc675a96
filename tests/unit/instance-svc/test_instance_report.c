/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/supervisor/report.h"

static void the_three_lines_of_init_are_understood(void **state)
{
	struct report report;

	(void)state;
	assert_int_equal(report_parse("started", &report), 0);
	assert_int_equal(report.kind, REPORT_STARTED);
	assert_int_equal(report_parse("exit 137 killed by signal 9", &report), 0);
	assert_int_equal(report.kind, REPORT_EXIT);
	assert_int_equal(report.exit_code, 137);
	assert_string_equal(report.text, "killed by signal 9");
	assert_int_equal(report_parse("exit 0", &report), 0);
	assert_int_equal(report.exit_code, 0);
	assert_string_equal(report.text, "");
	assert_int_equal(report_parse("failed no disk 'image'", &report), 0);
	assert_int_equal(report.kind, REPORT_FAILED);
	assert_string_equal(report.text, "no disk 'image'");
}

static void anything_else_is_refused(void **state)
{
	static const char *const refused[] = { "",	  "start",   "started ",  "Started",
					       "exit",	  "exit ",   "exit -1",	  "exit 256",
					       "exit 1x", "exit +1", "exit 0001", "exit  1",
					       "failed",  "stop" };
	struct report report = { .kind = REPORT_STARTED };

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(report_parse(refused[i], &report), -EINVAL);
	assert_int_equal(report.kind, REPORT_STARTED);
}

static void lines_are_cut_wherever_the_bytes_break(void **state)
{
	static const char stream[] = "started\nexit 3 done\n";
	struct report_reader reader = { 0 };
	const char *line;
	size_t lines = 0;

	(void)state;
	for (size_t i = 0; i < strlen(stream); i++) {
		assert_int_equal(report_reader_feed(&reader, stream + i, 1, &line), 1);
		if (!line)
			continue;
		assert_string_equal(line, lines == 0 ? "started" : "exit 3 done");
		lines++;
	}
	assert_int_equal(lines, 2);
}

static void a_line_that_is_too_long_is_dropped_as_a_whole(void **state)
{
	struct report_reader reader = { 0 };
	char bytes[3 * GUEST_REPORT_LINE_MAX];
	const char *line;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes + sizeof(bytes) - 9, "\nstarted\n", 9);
	assert_int_equal(report_reader_feed(&reader, bytes, sizeof(bytes), &line),
			 sizeof(bytes) - 8);
	assert_null(line);
	assert_int_equal(report_reader_feed(&reader, bytes + sizeof(bytes) - 8, 8, &line), 8);
	assert_string_equal(line, "started");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_three_lines_of_init_are_understood),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(lines_are_cut_wherever_the_bytes_break),
		cmocka_unit_test(a_line_that_is_too_long_is_dropped_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
