/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "instance-svc/log_file.h"
#include "instance-svc/log_reader.h"

struct fixture {
	char path[64];
	int directory;
	struct log_writer writer;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/logs-test-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->directory = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return log_writer_open(&f->writer, f->directory, LOG_APP);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	log_writer_close(&f->writer);
	close(f->directory);
	snprintf(command, sizeof(command), "rm -rf %s", f->path);
	(void)!system(command);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *text)
{
	log_writer_write(&f->writer, text, strlen(text));
}

static void put_number(struct fixture *f, unsigned number)
{
	char line[128];

	/* 100 bytes a line: 20972 of them are a little more than LOG_FILE_MAX. */
	snprintf(line, sizeof(line), "%099u\n", number);
	put(f, line);
}

static struct log_reader *open_tail(struct fixture *f, size_t tail)
{
	struct log_reader *reader = log_reader_open(dup(f->directory), LOG_APP, tail);

	assert_non_null(reader);
	return reader;
}

static void expect_line(struct log_reader *reader, const char *expected)
{
	const char *line = log_reader_next(reader, false);

	assert_non_null(line);
	assert_string_equal(line, expected);
}

static void expect_number(struct log_reader *reader, unsigned expected)
{
	const char *line = log_reader_next(reader, false);

	assert_non_null(line);
	assert_int_equal(strtoul(line, NULL, 10), expected);
}

static void the_last_lines_come_first_to_last(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;

	put(*state, "one\ntwo\nthree\n");
	reader = open_tail(*state, 2);
	expect_line(reader, "two");
	expect_line(reader, "three");
	assert_null(log_reader_next(reader, true));
}

static void a_tail_of_nothing_shows_only_what_is_new(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;

	put(*state, "old\n");
	reader = open_tail(*state, 0);
	assert_null(log_reader_next(reader, false));
	put(*state, "new\n");
	expect_line(reader, "new");
}

static void a_log_that_does_not_exist_yet_can_be_followed(void **state)
{
	struct fixture *f = *state;
	scoped(log_reader_close) struct log_reader *reader =
		log_reader_open(dup(f->directory), LOG_VMM, 10);
	struct log_writer writer;

	assert_null(log_reader_next(reader, false));
	assert_int_equal(log_writer_open(&writer, f->directory, LOG_VMM), 0);
	log_writer_write(&writer, "hello\n", 6);
	expect_line(reader, "hello");
	log_writer_close(&writer);
}

static void an_unfinished_line_waits_for_its_end(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = open_tail(*state, 10);

	put(*state, "half");
	assert_null(log_reader_next(reader, false));
	put(*state, " and whole\n");
	expect_line(reader, "half and whole");
	put(*state, "rest");
	assert_string_equal(log_reader_next(reader, true), "rest");
}

static void line_ends_of_terminals_are_taken_off(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;

	put(*state, "a\r\n\r\n\nb\rc\n");
	reader = open_tail(*state, 10);
	expect_line(reader, "a");
	expect_line(reader, "");
	expect_line(reader, "");
	expect_line(reader, "b\rc");
}

static void what_is_no_text_is_replaced(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;
	struct fixture *f = *state;

	log_writer_write(&f->writer, "a\0b\xff\xc3\xa4\xe2\x82\n", 9);
	reader = open_tail(f, 10);
	expect_line(reader, "a\xef\xbf\xbd"
			    "b\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
}

static void a_long_line_comes_in_pieces(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;
	size_t length = 2 * LOG_LINE_MAX + 5, seen = 0;
	char *text = malloc(length + 2);
	const char *line;

	memset(text, 'x', length);
	memcpy(text + length, "\n", 2);
	put(*state, text);
	free(text);
	reader = open_tail(*state, 1);
	while ((line = log_reader_next(reader, false))) {
		assert_true(strlen(line) <= LOG_LINE_MAX);
		seen += strlen(line);
	}
	assert_int_equal(seen, length);
}

static size_t count_bytes(struct fixture *f, size_t *files)
{
	scoped_dir DIR *dir = opendir(f->path);
	const struct dirent *entry;
	size_t bytes = 0;

	*files = 0;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] == '.' || fstatat(f->directory, entry->d_name, &st, 0) < 0)
			continue;
		bytes += (size_t)st.st_size;
		++*files;
	}
	return bytes;
}

static void logs_are_bounded(void **state)
{
	struct fixture *f = *state;
	size_t files, bytes;

	for (unsigned i = 0; i < 150000; i++)
		put_number(f, i);
	bytes = count_bytes(f, &files);
	assert_int_equal(files, LOG_FILE_COUNT);
	assert_true(bytes <= (size_t)LOG_FILE_MAX * LOG_FILE_COUNT);
	assert_true(bytes > (size_t)LOG_FILE_MAX * (LOG_FILE_COUNT - 1));
}

static void a_tail_reaches_into_older_files(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;
	struct fixture *f = *state;

	for (unsigned i = 0; i < 21000; i++)
		put_number(f, i);
	reader = open_tail(f, 500);
	for (unsigned i = 20500; i < 21000; i++)
		expect_number(reader, i);
	assert_null(log_reader_next(reader, true));
}

static void following_loses_nothing_over_rotations(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = open_tail(*state, 0);

	for (unsigned i = 0; i < 50000; i++) {
		put_number(*state, i);
		if (i % 30000 == 29999) /* one rotation behind */
			for (unsigned j = i - 29999; j <= i; j++)
				expect_number(reader, j);
	}
	for (unsigned i = 30000; i < 50000; i++)
		expect_number(reader, i);
	assert_null(log_reader_next(reader, false));
}

static void a_reader_left_behind_goes_on_with_the_oldest(void **state)
{
	scoped(log_reader_close) struct log_reader *reader = NULL;
	const char *line;
	unsigned first;

	put_number(*state, 0);
	reader = open_tail(*state, 1);
	expect_number(reader, 0);
	for (unsigned i = 1; i < 150000; i++)
		put_number(*state, i);
	/* Its own file first, which it still has open, then a gap. */
	for (unsigned i = 1; i < LOG_FILE_MAX / 100; i++)
		expect_number(reader, i);
	line = log_reader_next(reader, false);
	first = (unsigned)strtoul(line, NULL, 10);
	assert_true(first > LOG_FILE_MAX / 100);
	for (unsigned i = first + 1; i < 150000; i++)
		expect_number(reader, i);
}

static void events_are_lines_with_a_time(void **state)
{
	struct fixture *f = *state;
	scoped(log_reader_close) struct log_reader *reader = NULL;
	const char *line;

	log_event(f->directory, "began %d\nforged", 1);
	reader = log_reader_open(dup(f->directory), LOG_HYPEMAN, 10);
	line = log_reader_next(reader, true);
	assert_non_null(line);
	assert_int_equal(line[4], '-');
	assert_string_equal(line + strlen("2026-01-31T12:00:00.123Z "), "began 1 forged");
	assert_null(log_reader_next(reader, true));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_lines_come_first_to_last),
		TEST(a_tail_of_nothing_shows_only_what_is_new),
		TEST(a_log_that_does_not_exist_yet_can_be_followed),
		TEST(an_unfinished_line_waits_for_its_end),
		TEST(line_ends_of_terminals_are_taken_off),
		TEST(what_is_no_text_is_replaced),
		TEST(a_long_line_comes_in_pieces),
		TEST(logs_are_bounded),
		TEST(a_tail_reaches_into_older_files),
		TEST(following_loses_nothing_over_rotations),
		TEST(a_reader_left_behind_goes_on_with_the_oldest),
		TEST(events_are_lines_with_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
