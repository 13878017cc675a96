/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"

/* stderr of the test is a pipe while something is logged. */
struct capture {
	int saved;
	int pipe[2];
};

static void capture_start(struct capture *capture)
{
	assert_int_equal(pipe(capture->pipe), 0);
	capture->saved = dup(STDERR_FILENO);
	assert_true(capture->saved >= 0);
	assert_true(dup2(capture->pipe[1], STDERR_FILENO) >= 0);
	close(capture->pipe[1]);
}

static void capture_end(struct capture *capture, char *text, size_t size)
{
	ssize_t length;

	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	length = read(capture->pipe[0], text, size - 1);
	close(capture->pipe[0]);
	text[length > 0 ? length : 0] = '\0';
}

static void lines_begin_with_their_priority(void **state)
{
	struct capture capture;
	char text[256];

	(void)state;
	capture_start(&capture);
	log_error("a %d", 1);
	log_warning("b");
	log_info("c");
	log_debug("not printed");
	log_set_debug(true);
	log_debug("d");
	log_set_debug(false);
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(text, "<3>a 1\n<4>b\n<6>c\n<7>d\n");
}

static void control_characters_cannot_forge_a_line(void **state)
{
	struct capture capture;
	char text[256];

	(void)state;
	capture_start(&capture);
	log_info("name '%s'", "x\n<3>forged\x1b[31m\t\x7f");
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(text, "<6>name 'x\\x0a<3>forged\\x1b[31m\\x09\\x7f'\n");
}

static void text_in_other_alphabets_stays(void **state)
{
	struct capture capture;
	char text[256];

	(void)state;
	capture_start(&capture);
	log_info("gr\xc3\xbc\xc3\x9f");
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(text, "<6>gr\xc3\xbc\xc3\x9f\n");
}

static void long_lines_are_cut_and_end(void **state)
{
	struct capture capture;
	char *long_text = malloc(10000);
	char text[8192];

	(void)state;
	for (int fill = 0; fill < 2; fill++) {
		memset(long_text, fill ? '\n' : 'x', 9999);
		long_text[9999] = '\0';
		capture_start(&capture);
		log_info("%s", long_text);
		capture_end(&capture, text, sizeof(text));
		assert_in_range(strlen(text), 1500, 4096); /* whole in a pipe */
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	}
	free(long_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_begin_with_their_priority),
		cmocka_unit_test(control_characters_cannot_forge_a_line),
		cmocka_unit_test(text_in_other_alphabets_stays),
		cmocka_unit_test(long_lines_are_cut_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
