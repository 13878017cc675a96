/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api-gateway/websocket.h"
#include "api-gateway/websocket_handshake.h"

struct pair {
	struct websocket *socket;
	int client;
	int fd;
	atomic_bool stopping;
};

static int set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	int fds[2];

	assert_non_null(pair);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pair->fd = fds[0];
	pair->client = fds[1];
	pair->socket = websocket_new(pair->fd, &pair->stopping);
	assert_non_null(pair->socket);
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	websocket_free(pair->socket);
	close(pair->fd);
	close(pair->client);
	free(pair);
	return 0;
}

static void client_writes(const struct pair *pair, const void *bytes, size_t length)
{
	assert_int_equal(write(pair->client, bytes, length), length);
}

/* With a mask of zeros. */
static void client_sends(const struct pair *pair, uint8_t first, const char *text)
{
	uint8_t head[] = { first, (uint8_t)(0x80 | strlen(text)), 0, 0, 0, 0 };

	client_writes(pair, head, sizeof(head));
	client_writes(pair, text, strlen(text));
}

static void expect(const struct pair *pair, enum websocket_opcode opcode, const char *text)
{
	struct websocket_message message;

	assert_int_equal(websocket_receive(pair->socket, 1000, &message), 0);
	assert_int_equal(message.opcode, opcode);
	assert_int_equal(message.length, strlen(text));
	if (message.length > 0)
		assert_memory_equal(message.bytes, text, strlen(text));
}

static void lengths_have_one_form(void **state)
{
	static const struct {
		uint64_t length;
		size_t head;
	} cases[] = { { 0, 2 },	    { 125, 2 },	   { 126, 4 },
		      { 65535, 4 }, { 65536, 10 }, { INT64_MAX, 10 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[WEBSOCKET_FRAME_HEAD_MAX] = { 0 };
		struct websocket_frame frame;
		size_t head = websocket_frame_format(WEBSOCKET_BINARY, cases[i].length, bytes);

		assert_int_equal(head, cases[i].head);
		bytes[1] |= 0x80; /* as a client, whose mask is four zeros */
		for (size_t have = 0; have < head + 4; have++)
			assert_int_equal(websocket_frame_parse(bytes, have, &frame), 0);
		assert_int_equal(websocket_frame_parse(bytes, head + 4, &frame), head + 4);
		assert_int_equal(frame.length, cases[i].length);
		assert_true(frame.final);
	}
}

static void heads_that_no_client_may_send_are_refused(void **state)
{
	static const uint8_t cases[][WEBSOCKET_FRAME_HEAD_MAX] = {
		{ 0x82, 0x00 }, /* no mask */
		{ 0xc2, 0x80 }, /* reserved bits */
		{ 0xa2, 0x80 },
		{ 0x92, 0x80 },
		{ 0x83, 0x80 }, /* reserved opcodes */
		{ 0x87, 0x80 },
		{ 0x8b, 0x80 },
		{ 0x8f, 0x80 },
		{ 0x09, 0x80 },		/* a ping in parts */
		{ 0x89, 0xfe, 0, 126 }, /* a long ping */
		{ 0x82, 0xfe, 0, 125 }, /* not the shortest form */
		{ 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff },
		{ 0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0 } /* beyond 63 bits */
	};
	struct websocket_frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(websocket_frame_parse(cases[i], sizeof(cases[i]), &frame),
				 -EPROTO);
}

static void the_mask_goes_on_where_it_was(void **state)
{
	const struct websocket_frame frame = { .mask = { 1, 2, 3, 4 } };
	uint8_t bytes[8] = { 0 };

	(void)state;
	websocket_frame_mask(&frame, 0, bytes, 3);
	websocket_frame_mask(&frame, 3, bytes + 3, 5);
	assert_memory_equal(bytes, "\1\2\3\4\1\2\3\4", 8);
}

static void messages_come_whole_or_in_pieces(void **state)
{
	struct pair *pair = *state;
	struct websocket_message message;

	client_sends(pair, 0x01, "te");
	assert_int_equal(websocket_receive(pair->socket, 10, &message), -ETIMEDOUT);
	client_sends(pair, 0x89, "ping");
	expect(pair, WEBSOCKET_PING, "ping");
	client_sends(pair, 0x00, "");
	client_sends(pair, 0x80, "xt");
	expect(pair, WEBSOCKET_TEXT, "text");
	client_sends(pair, 0x81, "");
	expect(pair, WEBSOCKET_TEXT, "");
	client_sends(pair, 0x02, "by");
	expect(pair, WEBSOCKET_BINARY, "by");
	client_sends(pair, 0x80, "tes");
	expect(pair, WEBSOCKET_BINARY, "tes");
	client_sends(pair, 0x82, ""); /* nothing to hand on */
	client_sends(pair, 0x88, "");
	expect(pair, WEBSOCKET_CLOSE, "");
}

static void a_head_may_come_byte_by_byte(void **state)
{
	static const uint8_t frame[] = { 0x81, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2 };
	struct pair *pair = *state;
	struct websocket_message message;

	for (size_t i = 0; i < sizeof(frame) - 1; i++) {
		client_writes(pair, frame + i, 1);
		assert_int_equal(websocket_receive(pair->socket, 5, &message), -ETIMEDOUT);
	}
	client_writes(pair, frame + sizeof(frame) - 1, 1);
	expect(pair, WEBSOCKET_TEXT, "hi");
}

static void the_end_is_noticed(void **state)
{
	struct pair *pair = *state;
	struct websocket_message message;

	client_sends(pair, 0x81, "last");
	assert_int_equal(shutdown(pair->client, SHUT_RDWR), 0);
	expect(pair, WEBSOCKET_TEXT, "last");
	assert_int_equal(websocket_receive(pair->socket, 1000, &message), -EPIPE);
	assert_int_equal(websocket_send(pair->socket, WEBSOCKET_TEXT, "x", 1), -EPIPE);
}

static void a_stop_ends_waiting(void **state)
{
	struct pair *pair = *state;
	struct websocket_message message;
	char *much = calloc(1, 1 << 24);

	atomic_store(&pair->stopping, true);
	assert_int_equal(websocket_receive(pair->socket, 60000, &message), -EPIPE);
	assert_int_equal(websocket_send(pair->socket, WEBSOCKET_BINARY, much, 1 << 24), -EPIPE);
	free(much);
}

static void a_goodbye_has_code_and_reason(void **state)
{
	struct pair *pair = *state;
	char reason[200], got[256];
	ssize_t length;

	memset(reason, 'r', sizeof(reason));
	memcpy(reason + 122, "\xc3\xa4", 3); /* the limit is in the middle of a letter */
	client_sends(pair, 0x88, "");
	websocket_close(pair->socket, WEBSOCKET_REFUSED, reason);
	length = read(pair->client, got, sizeof(got));
	assert_int_equal(length, 2 + 2 + 122);
	assert_memory_equal(got, "\x88\x7c\x03\xf0rrr", 7);
}

static void the_example_of_the_rfc_is_answered(void **state)
{
	struct request request = {
		.method = "GET",
		.version = "1.1",
		.header_count = 4,
		.headers = { { "connection", "keep-alive, Upgrade" },
			     { "Upgrade", "WebSocket" },
			     { "Sec-WebSocket-Version", "13" },
			     { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" } },
	};
	struct websocket_key key;
	struct err err;

	(void)state;
	assert_int_equal(websocket_handshake(&request, &key, &err), 0);
	assert_string_equal(key.s, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	request.headers[0].value = "close, upgraded";
	assert_int_equal(websocket_handshake(&request, &key, &err), -1);
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
}

static void *send_much(void *user)
{
	static const uint8_t bytes[1 << 20];
	const struct pair *pair = user;

	assert_int_equal(websocket_send(pair->socket, WEBSOCKET_BINARY, bytes, sizeof(bytes)), 0);
	return NULL;
}

static void read_whole(const struct pair *pair, uint8_t *to, size_t length)
{
	for (size_t got = 0; got < length;) {
		ssize_t n = read(pair->client, to + got, length - got);

		assert_true(n > 0);
		got += (size_t)n;
	}
}

/* The socket is full with a message, so who answers the ping cannot. */
static void a_pong_waits_for_the_message_that_is_being_sent(void **state)
{
	struct pair *pair = *state;
	uint8_t *message = malloc(10 + (1 << 20));
	uint8_t pong[2 + 4];
	pthread_t thread;

	assert_non_null(message);
	assert_int_equal(pthread_create(&thread, NULL, send_much, pair), 0);
	read_whole(pair, message, 10);
	websocket_pong(pair->socket, "one", 3);
	websocket_pong(pair->socket, "last", 4);
	read_whole(pair, message + 10, 1 << 20);
	read_whole(pair, pong, sizeof(pong));
	assert_memory_equal(pong, "\x8a\x04last", sizeof(pong));
	pthread_join(thread, NULL);
	websocket_pong(pair->socket, "", 0);
	read_whole(pair, pong, 2);
	assert_memory_equal(pong, "\x8a\x00", 2);
	free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_have_one_form),
		cmocka_unit_test(heads_that_no_client_may_send_are_refused),
		cmocka_unit_test(the_mask_goes_on_where_it_was),
		cmocka_unit_test_setup_teardown(messages_come_whole_or_in_pieces, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_head_may_come_byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stop_ends_waiting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_goodbye_has_code_and_reason, set_up, tear_down),
		cmocka_unit_test(the_example_of_the_rfc_is_answered),
		cmocka_unit_test_setup_teardown(a_pong_waits_for_the_message_that_is_being_sent,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
