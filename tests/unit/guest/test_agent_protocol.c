/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/guest/agent_protocol.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAME_MAX (AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX)

static uint8_t bytes[2 * FRAME_MAX];

static size_t put(enum agent_kind kind, uint32_t session, size_t length)
{
	memset(bytes, 'x', sizeof(bytes));
	agent_header_format(kind, session, length, bytes);
	return AGENT_HEADER_BYTES + length;
}

static void a_frame_is_read_when_it_is_whole(void **state)
{
	size_t size = put(AGENT_INPUT, 7, AGENT_PAYLOAD_MAX);
	struct agent_frame frame;

	(void)state;
	assert_int_equal(agent_frame_parse(bytes, AGENT_HEADER_BYTES - 1, &frame), 0);
	assert_int_equal(agent_frame_parse(bytes, size - 1, &frame), 0);
	assert_int_equal(agent_frame_parse(bytes, size + 5, &frame), size);
	assert_int_equal(frame.kind, AGENT_INPUT);
	assert_int_equal(frame.session, 7);
	assert_int_equal(frame.length, AGENT_PAYLOAD_MAX);
	assert_ptr_equal(frame.payload, bytes + AGENT_HEADER_BYTES);
}

static void what_is_no_frame_is_refused(void **state)
{
	static const struct {
		uint32_t kind, session;
		size_t length;
	} refused[] = {
		{ 0, 0, 0 },
		{ AGENT_KIND_COUNT, 1, 4 },
		{ AGENT_INPUT, 1, 0 },
		{ AGENT_INPUT, 1, AGENT_PAYLOAD_MAX + 1 },
		{ AGENT_INPUT, 1, UINT32_MAX },
		{ AGENT_INPUT, 0, 1 },
		{ AGENT_INPUT_END, 1, 1 },
		{ AGENT_CREDIT, 1, 3 },
		{ AGENT_CREDIT, 1, 5 },
		{ AGENT_RESIZE, 1, 4 },
		{ AGENT_EXIT, 1, 3 },
		{ AGENT_EXIT, 1, 4 + AGENT_EXIT_TEXT_MAX + 1 },
		{ AGENT_HELLO, 0, AGENT_HELLO_BYTES - 1 },
		{ AGENT_HELLO, 1, AGENT_HELLO_BYTES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct agent_frame frame;

		put((enum agent_kind)refused[i].kind, refused[i].session, 0);
		agent_number_format((uint32_t)refused[i].length, bytes + 8);
		assert_int_equal(agent_frame_parse(bytes, sizeof(bytes), &frame), -EPROTO);
	}
}

static void a_hello_is_found_behind_anything(void **state)
{
	static const uint8_t token[AGENT_TOKEN_BYTES] = "0123456789abcdef";
	const size_t whole = AGENT_HEADER_BYTES + AGENT_HELLO_BYTES;
	uint8_t *hello = bytes + 1000;
	bool found;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	agent_header_format(AGENT_HELLO, 0, AGENT_HELLO_BYTES, hello);
	memcpy(hello + AGENT_HEADER_BYTES, AGENT_MAGIC, AGENT_MAGIC_BYTES);
	memcpy(hello + AGENT_HEADER_BYTES + AGENT_MAGIC_BYTES, token, AGENT_TOKEN_BYTES);
	assert_int_equal(agent_hello_find(AGENT_HELLO, NULL, bytes, 2000, &found), 1000);
	assert_true(found);
	assert_int_equal(agent_hello_find(AGENT_HELLO, token, bytes, 1000 + whole, &found), 1000);
	assert_true(found);
	/* Not whole yet: nothing of it may be dropped. */
	for (size_t missing = 1; missing < whole; missing++) {
		size_t skip =
			agent_hello_find(AGENT_HELLO, token, bytes, 1000 + whole - missing, &found);

		assert_false(found);
		assert_true(skip <= 1000);
	}
	assert_true(agent_hello_find(AGENT_WELCOME, token, bytes, 2000, &found) > 1000);
	assert_false(found);
	assert_int_equal(agent_hello_find(AGENT_HELLO, NULL, bytes, 3, &found), 0);
}

static void a_command_survives_the_way(void **state)
{
	char *args[] = { (char[]){ "sh" }, (char[]){ "" }, (char[]){ "a b" }, NULL };
	char *env[] = { (char[]){ "A=" }, (char[]){ "B=c=d" }, NULL };
	const struct agent_start sent = {
		.tty = true,
		.rows = 24,
		.columns = 80,
		.timeout_s = 9,
		.cwd = "/x",
		.args = args,
		.env = env,
	};
	struct agent_start got;
	uint8_t *payload;
	size_t length;

	(void)state;
	assert_int_equal(agent_start_format(&sent, &payload, &length), 0);
	assert_int_equal(agent_start_parse(payload, length, &got), 0);
	assert_true(got.tty);
	assert_int_equal(got.rows, 24);
	assert_int_equal(got.columns, 80);
	assert_int_equal(got.timeout_s, 9);
	assert_string_equal(got.cwd, "/x");
	assert_string_equal(got.args[0], "sh");
	assert_string_equal(got.args[1], "");
	assert_string_equal(got.args[2], "a b");
	assert_null(got.args[3]);
	assert_string_equal(got.env[1], "B=c=d");
	assert_null(got.env[2]);
	agent_start_done(&got);
	/* No part of it is one. */
	for (size_t part = 0; part < length; part++)
		assert_int_equal(agent_start_parse(payload, part, &got), -EPROTO);
	free(payload);
}

static void a_frame_bounds_the_command(void **state)
{
	static char word[AGENT_PAYLOAD_MAX];
	char *args[] = { word, NULL };
	const struct agent_start start = { .cwd = "", .args = args };
	uint8_t *payload;
	size_t length;

	(void)state;
	memset(word, 'x', AGENT_PAYLOAD_MAX - AGENT_START_FIXED - 2);
	assert_int_equal(agent_start_format(&start, &payload, &length), 0);
	assert_int_equal(length, AGENT_PAYLOAD_MAX);
	free(payload);
	word[AGENT_PAYLOAD_MAX - AGENT_START_FIXED - 2] = 'x';
	assert_int_equal(agent_start_format(&start, &payload, &length), -E2BIG);
}

static void bad_commands_are_refused(void **state)
{
	static const struct {
		uint32_t flags, args, env;
		const char *texts;
		size_t size;
	} refused[] = {
		{ 2, 1, 0, "\0a", 3 },	  /* an unknown flag */
		{ 0, 0, 0, "\0", 1 },	  /* no argument */
		{ 0, 2, 0, "\0a", 3 },	  /* too few */
		{ 0, 1, 0, "\0a\0b", 5 }, /* too many */
		{ 0, UINT32_MAX, 0, "\0a", 3 }, { 0, 1, UINT32_MAX, "\0a", 3 },
		{ 0, 1, 1, "\0a\0A", 5 }, /* no variable */
		{ 0, 1, 1, "\0a\0=b", 6 },
	};
	struct agent_start start;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		memset(bytes, 0, AGENT_START_FIXED);
		agent_number_format(refused[i].flags, bytes);
		agent_number_format(refused[i].args, bytes + 16);
		agent_number_format(refused[i].env, bytes + 20);
		memcpy(bytes + AGENT_START_FIXED, refused[i].texts, refused[i].size);
		assert_int_equal(
			agent_start_parse(bytes, AGENT_START_FIXED + refused[i].size, &start),
			-EPROTO);
		assert_null(start.args);
	}
}

static void a_look_survives_the_way(void **state)
{
	const struct agent_stat_reply sent = {
		.error = 0,
		.mode = 0120777,
		.size = INT64_C(1) << 40,
		.link = "to/there",
	};
	struct agent_stat_request request;
	struct agent_stat_reply got;
	size_t size;

	(void)state;
	agent_number_format(1, bytes);
	memcpy(bytes + 4, "/etc", 5);
	assert_int_equal(agent_stat_request_parse(bytes, 9, &request), 0);
	assert_true(request.follow);
	assert_string_equal(request.path, "/etc");
	assert_int_equal(agent_stat_request_parse(bytes, 8, &request), -EPROTO);
	assert_int_equal(agent_stat_request_parse(bytes, 10, &request), -EPROTO);
	bytes[4] = 'e';
	assert_int_equal(agent_stat_request_parse(bytes, 9, &request), -EPROTO);

	size = agent_stat_reply_format(&sent, bytes);
	assert_int_equal(agent_stat_reply_parse(bytes, size, &got), 0);
	assert_int_equal(got.mode, 0120777);
	assert_int_equal(got.size, INT64_C(1) << 40);
	assert_string_equal(got.link, "to/there");
	assert_int_equal(agent_stat_reply_parse(bytes, AGENT_STAT_FIXED - 1, &got), -EPROTO);
	memset(bytes + AGENT_STAT_FIXED, 'x', AGENT_LINK_MAX);
	assert_int_equal(agent_stat_reply_parse(bytes, AGENT_STAT_FIXED + AGENT_LINK_MAX - 1, &got),
			 0);
	assert_int_equal(agent_stat_reply_parse(bytes, AGENT_STAT_FIXED + AGENT_LINK_MAX, &got),
			 -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_read_when_it_is_whole),
		cmocka_unit_test(what_is_no_frame_is_refused),
		cmocka_unit_test(a_hello_is_found_behind_anything),
		cmocka_unit_test(a_command_survives_the_way),
		cmocka_unit_test(a_frame_bounds_the_command),
		cmocka_unit_test(bad_commands_are_refused),
		cmocka_unit_test(a_look_survives_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
