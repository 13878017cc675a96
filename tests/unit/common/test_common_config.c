/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config.h"

static const char *socket_path, *user;
static uint64_t seconds;
static bool spread;
static struct config_list peers;

static const struct config_setting settings[] = {
	{ "socket", CONFIG_PATH, &socket_path, "/run/default", 0, 0, "socket to serve" },
	{ "user", CONFIG_TEXT, &user, NULL, 0, 0, "user to be" },
	{ "seconds", CONFIG_UINT, &seconds, "30", 1, 3600, "between scans" },
	{ "spread", CONFIG_BOOL, &spread, NULL, 0, 0, "spread GPUs" },
	{ "peer", CONFIG_LIST, &peers, "root:0", 0, 0, "who may call" },
};

struct fixture {
	struct config config;
	char file[64];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	strcpy(fixture->file, "/tmp/hypeman-config.XXXXXX");
	fd = mkstemp(fixture->file);
	if (fd < 0)
		return -1;
	close(fd);
	fixture->config = (struct config){
		.program = "test",
		.description = "A test.",
		.default_file = fixture->file,
		.settings = settings,
		.setting_count = sizeof(settings) / sizeof(settings[0]),
	};
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	config_done(&fixture->config);
	unlink(fixture->file);
	free(fixture);
	return 0;
}

static void write_file(struct fixture *fixture, const char *text)
{
	FILE *file = fopen(fixture->file, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

#define PARSE(fixture, err, ...)                                                                   \
	({                                                                                         \
		const char *argv_[] = { "test", ##__VA_ARGS__, NULL };                             \
		config_parse(&(fixture)->config, (int)(sizeof(argv_) / sizeof(argv_[0])) - 1,      \
			     (char **)(uintptr_t)argv_, err);                                      \
	})

static void defaults_fill_what_nobody_set(void **state)
{
	struct err err;

	user = "left from before";
	spread = true;
	assert_int_equal(PARSE((struct fixture *)*state, &err), 0);
	assert_string_equal(socket_path, "/run/default");
	assert_null(user);
	assert_int_equal(seconds, 30);
	assert_false(spread);
	assert_int_equal(peers.count, 1);
	assert_string_equal(peers.values[0], "root:0");
}

static void file_sets_and_flags_win(void **state)
{
	struct fixture *fixture = *state;
	struct err err;

	write_file(fixture, "# a comment\n\n  socket = /run/file  \nseconds=60\nspread = yes\n"
			    "user = a = b\n");
	assert_int_equal(PARSE(fixture, &err, "--seconds", "90", "--socket=/run/flag"), 0);
	assert_string_equal(socket_path, "/run/flag");
	assert_int_equal(seconds, 90);
	assert_true(spread);
	assert_string_equal(user, "a = b");
}

static void lists_replace_what_came_before(void **state)
{
	struct fixture *fixture = *state;
	struct err err;

	write_file(fixture, "peer = a:1\npeer = b:2\n");
	assert_int_equal(PARSE(fixture, &err), 0);
	assert_int_equal(peers.count, 2);
	assert_string_equal(peers.values[1], "b:2");
	config_done(&fixture->config);

	assert_int_equal(PARSE(fixture, &err, "--peer", "c:3"), 0);
	assert_int_equal(peers.count, 1);
	assert_string_equal(peers.values[0], "c:3");
}

static void bool_flags_need_no_value(void **state)
{
	struct fixture *fixture = *state;
	struct err err;

	assert_int_equal(PARSE(fixture, &err, "--spread", "--seconds", "2"), 0);
	assert_true(spread);
	assert_int_equal(seconds, 2);
	config_done(&fixture->config);
	assert_int_equal(PARSE(fixture, &err, "--spread=no"), 0);
	assert_false(spread);
}

static void another_file_must_exist(void **state)
{
	struct fixture *fixture = *state;
	char flag[96];
	struct err err;

	assert_int_equal(PARSE(fixture, &err, "--config", "/nonexistent"), -1);
	assert_string_equal(err.message, "cannot read /nonexistent: No such file or directory");
	config_done(&fixture->config);
	assert_int_equal(PARSE(fixture, &err, "--config", "/"), -1);
	assert_string_equal(err.message, "cannot read /: Is a directory");
	config_done(&fixture->config);
	assert_int_equal(PARSE(fixture, &err, "--config"), -1);
	assert_string_equal(err.message, "--config needs a file");
	config_done(&fixture->config);

	write_file(fixture, "seconds = 7\n");
	fixture->config.default_file = "/nonexistent";
	assert_int_equal(PARSE(fixture, &err), 0); /* the default one need not */
	assert_int_equal(seconds, 30);
	config_done(&fixture->config);
	snprintf(flag, sizeof(flag), "--config=%s", fixture->file);
	assert_int_equal(PARSE(fixture, &err, flag, "--user", "x"), 0);
	assert_int_equal(seconds, 7);
	assert_string_equal(user, "x");
	config_done(&fixture->config);
	assert_int_equal(PARSE(fixture, &err, "--user", "x", "--config", fixture->file), 0);
	assert_int_equal(seconds, 7);
}

static void bad_flags_are_named(void **state)
{
	static const struct {
		const char *flag, *value, *message;
	} cases[] = {
		{ "--seconds", "0", "--seconds: seconds is '0', must be a number from 1 to 3600" },
		{ "--seconds", "4000",
		  "--seconds: seconds is '4000', must be a number from 1 to 3600" },
		{ "--seconds", "-1",
		  "--seconds: seconds is '-1', must be a number from 1 to 3600" },
		{ "--seconds", "5x",
		  "--seconds: seconds is '5x', must be a number from 1 to 3600" },
		{ "--seconds", "", "--seconds: seconds is '', must be a number from 1 to 3600" },
		{ "--seconds", "99999999999999999999",
		  "--seconds: seconds is '99999999999999999999', must be a number from 1 to 3600" },
		{ "--spread=maybe", "--spread",
		  "--spread: spread is 'maybe', must be true or false" },
		{ "--socket", "run/x", "--socket: socket is 'run/x', must be an absolute path" },
		{ "--sockets", "/x", "unknown flag --sockets, see --help" },
		{ "--spread", "word", "'word' is not a flag, see --help" },
		{ "--spread", "--user", "--user needs a value" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *fixture = *state;
		struct err err;

		assert_int_equal(PARSE(fixture, &err, cases[i].flag, cases[i].value), -1);
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		config_done(&fixture->config);
	}
}

static void bad_lines_are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "\nseconds = x\n", ":2: seconds is 'x', must be a number from 1 to 3600" },
		{ "# c\n\nsecond = 1\n", ":3: unknown setting 'second', see --help" },
		{ "seconds 1\n", ":1: 'seconds 1' is not of the form key = value" },
		{ "socket = x", ":1: socket is 'x', must be an absolute path" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *fixture = *state;
		char message[200];
		struct err err;

		write_file(fixture, cases[i].text);
		assert_int_equal(PARSE(fixture, &err), -1);
		snprintf(message, sizeof(message), "%s%s", fixture->file, cases[i].message);
		assert_string_equal(err.message, message);
		config_done(&fixture->config);
	}
}

static void check_config_is_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct err err;

	assert_int_equal(PARSE(fixture, &err, "--check-config", "--seconds", "5"), 0);
	assert_true(fixture->config.check_only);
	assert_int_equal(seconds, 5);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_fill_what_nobody_set),
		TEST(file_sets_and_flags_win),
		TEST(lists_replace_what_came_before),
		TEST(bool_flags_need_no_value),
		TEST(another_file_must_exist),
		TEST(bad_flags_are_named),
		TEST(bad_lines_are_named),
		TEST(check_config_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
