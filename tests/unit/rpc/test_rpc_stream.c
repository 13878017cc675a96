/* SPDX-License-Identifier: Apache-2.0 */
/* Streamed requests and replies. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "google/protobuf/empty.pb-c.h"

typedef Hypeman__Test__V1__CountRequest count_request;
typedef Hypeman__Test__V1__CountResponse count_response;
typedef Hypeman__Test__V1__EchoRequest echo_request;
typedef Hypeman__Test__V1__EchoResponse echo_response;

static struct rpc_stream *open_stream(struct fixture *fixture, enum echo_method method,
				      int timeout_ms)
{
	const struct rpc_call_options options = { .timeout_ms = timeout_ms };
	struct err err;
	struct rpc_stream *stream;

	stream = rpc_stream_open(fixture->channel, ECHO, method, &options, &err);
	if (!stream)
		fail_msg("%s", err.message);
	return stream;
}

static struct rpc_stream *open_count(struct fixture *fixture, const count_request *request,
				     int timeout_ms)
{
	struct rpc_stream *stream = open_stream(fixture, ECHO_COUNT, timeout_ms);

	assert_int_equal(rpc_stream_send(stream, &request->base), 0);
	assert_int_equal(rpc_stream_close_send(stream), 0);
	return stream;
}

/* Reads to the end. Returns how many came; each must be the number that was due. */
static unsigned read_numbers(struct rpc_stream *stream)
{
	ProtobufCMessage *message = NULL;
	unsigned count = 0;

	while (rpc_stream_receive(stream, &message) == 1) {
		assert_int_equal(((count_response *)message)->number, count);
		protobuf_c_message_free_unpacked(message, NULL);
		count++;
	}
	return count;
}

static void server_streams_in_order(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	struct rpc_stream *stream;
	struct err err;

	request.count = 1000;
	request.payload_bytes = 2000;
	stream = open_count(*state, &request, 0);
	assert_int_equal(read_numbers(stream), 1000);
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
}

static void stream_that_fails_delivers_what_came_before(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	struct rpc_stream *stream;
	struct err err;

	request.count = 10;
	request.fail_after = 4;
	stream = open_count(*state, &request, 0);
	assert_int_equal(read_numbers(stream), 4);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_ABORTED);
	assert_string_equal(err.message, "failed after 4");
}

static void *cancel_soon(void *stream)
{
	usleep(100000);
	rpc_stream_cancel(stream);
	return NULL;
}

static void another_thread_cancels_a_stream(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	struct fixture *fixture = *state;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	int64_t start = now_ms();
	pthread_t thread;
	struct err err;

	request.count = 100;
	request.interval_ms = 20000;
	stream = open_count(fixture, &request, 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);
	pthread_create(&thread, NULL, cancel_soon, stream);
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	pthread_join(thread, NULL);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);

	assert_int_equal(err.reason, ERR_CANCELLED);
	assert_true(now_ms() - start < 10000);
	expect_soon(&fixture->echo.cancelled, 1);
}

static void finishing_early_cancels(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	struct fixture *fixture = *state;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	struct err err;

	request.count = 100;
	request.interval_ms = 10000;
	stream = open_count(fixture, &request, 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_CANCELLED);
	expect_soon(&fixture->echo.cancelled, 1);
}

static void stream_has_a_deadline(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	struct rpc_stream *stream;
	struct err err;

	request.count = 1000;
	request.interval_ms = 100;
	stream = open_count(*state, &request, 1000);
	assert_in_range(read_numbers(stream), 1, 20); /* of 1000; ten would fit, to a hair */
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_OUTCOME_UNKNOWN);
}

static void receive_waits_only_as_long_as_it_was_told(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	unsigned received = 0, timeouts = 0;
	struct err err;
	int r;

	request.count = 3;
	request.interval_ms = 200;
	stream = open_count(*state, &request, 0);
	while ((r = rpc_stream_receive_timeout(stream, 30, &message)) != 0) {
		if (r == -ETIMEDOUT) {
			timeouts++;
			continue;
		}
		assert_int_equal(r, 1);
		assert_int_equal(((count_response *)message)->number, received++);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	assert_int_equal(received, 3);
	assert_true(timeouts > 1);
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
}

static void what_comes_between_two_receives_is_kept(void **state)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	unsigned received = 0;
	struct err err;
	int r;

	request.count = 4;
	request.interval_ms = 30;
	stream = open_count(*state, &request, 0);
	while ((r = rpc_stream_receive_timeout(stream, 0, &message)) != 0) {
		if (r == 1) {
			assert_int_equal(((count_response *)message)->number, received++);
			protobuf_c_message_free_unpacked(message, NULL);
		}
		nanosleep(&pause, NULL);
	}
	assert_int_equal(received, 4);
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
}

static void finish_with_a_receive_still_open(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	struct err err;

	request.count = 2;
	request.interval_ms = 10000;
	stream = open_count(*state, &request, 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);
	assert_int_equal(rpc_stream_receive_timeout(stream, 10, &message), -ETIMEDOUT);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_CANCELLED);
}

static void both_sides_stream(void **state)
{
	struct rpc_stream *stream = open_stream(*state, ECHO_CHAT, 0);
	ProtobufCMessage *message = NULL;
	struct err err;

	for (int i = 0; i < 50; i++) {
		echo_request request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
		char text[16];

		snprintf(text, sizeof(text), "line %d", i);
		request.text = text;
		assert_int_equal(rpc_stream_send(stream, &request.base), 0);
		assert_int_equal(rpc_stream_receive(stream, &message), 1);
		assert_string_equal(((echo_response *)message)->text, text);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	assert_int_equal(rpc_stream_close_send(stream), 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
}

static void client_streams_and_gets_one_reply(void **state)
{
	struct rpc_stream *stream = open_stream(*state, ECHO_COLLECT, 0);
	echo_request request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct err err;

	for (int i = 0; i < 300; i++)
		assert_int_equal(rpc_stream_send(stream, &request.base), 0);
	assert_int_equal(rpc_stream_close_send(stream), 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	assert_int_equal(((Hypeman__Test__V1__CollectResponse *)message)->count, 300);
	protobuf_c_message_free_unpacked(message, NULL);
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
}

static void malformed_message_ends_a_stream(void **state)
{
	struct rpc_stream *stream = open_stream(*state, ECHO_CHAT, 0);
	echo_request request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	char bad[] = "\xff";
	ProtobufCMessage *message = NULL;
	struct err err;

	request.text = bad;
	assert_int_equal(rpc_stream_send(stream, &request.base), 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_MALFORMED_MESSAGE);
}

static void sending_to_a_stream_that_failed_says_so(void **state)
{
	struct rpc_stream *stream = open_stream(*state, ECHO_CHAT, 0);
	echo_request request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	char reason[] = "wrong_state";
	ProtobufCMessage *message = NULL;
	struct err err;

	request.fail_reason = reason;
	assert_int_equal(rpc_stream_send(stream, &request.base), 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	assert_int_equal(rpc_stream_send(stream, &request.base), -ECANCELED);
	assert_int_equal(rpc_stream_finish(stream, &err), -1);
	assert_int_equal(err.reason, ERR_WRONG_STATE);
	assert_int_equal(err.detail_count, ERR_DETAILS_MAX);
}

/* Flow control stops the handler, and a caller that goes away frees it. */
static void caller_that_does_not_read_holds_nothing_up(void **state)
{
	count_request request = HYPEMAN__TEST__V1__COUNT_REQUEST__INIT;
	struct fixture *fixture = *state;
	struct rpc_stream *streams[16];
	struct err err;

	request.count = 1000;
	request.payload_bytes = 1 << 20;
	for (int i = 0; i < 16; i++) /* as many as the server has workers */
		streams[i] = open_count(fixture, &request, 0);
	usleep(100000);
	for (int i = 0; i < 16; i++)
		assert_int_equal(rpc_stream_finish(streams[i], &err), -1);
	assert_int_equal(fixture_echo(fixture->channel, "free again", &err), 0);
}

static void long_calls_have_threads_of_their_own(void **state)
{
	const struct rpc_server_options options = { .workers = 1, .long_calls = 2 };
	struct fixture *fixture = fixture_new(&options);
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *streams[3];
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		streams[i] = open_stream(fixture, ECHO_HOLD, 0);
		assert_int_equal(rpc_stream_send(streams[i], &empty.base), 0);
		assert_int_equal(rpc_stream_receive(streams[i], &message), i < 2);
		if (i < 2)
			protobuf_c_message_free_unpacked(message, NULL);
	}
	assert_int_equal(rpc_stream_finish(streams[2], &err), -1);
	assert_int_equal(err.reason, ERR_OVERLOADED);
	assert_int_equal(fixture_echo(fixture->channel, "a worker is free", &err), 0);

	assert_int_equal(rpc_stream_finish(streams[0], &err), -1);
	expect_soon(&fixture->echo.running, 1);
	for (int i = 0; i < 20; i++) { /* its place is used again, many times over */
		streams[0] = open_stream(fixture, ECHO_HOLD, 0);
		assert_int_equal(rpc_stream_send(streams[0], &empty.base), 0);
		if (rpc_stream_receive(streams[0], &message) == 1)
			protobuf_c_message_free_unpacked(message, NULL);
		rpc_stream_finish(streams[0], &err);
		expect_soon(&fixture->echo.running, 1);
	}
	assert_true(atomic_load(&fixture->echo.cancelled) > 10);
	rpc_stream_finish(streams[1], &err);
	fixture_free(fixture);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(server_streams_in_order),
		WITH_SERVER(stream_that_fails_delivers_what_came_before),
		WITH_SERVER(another_thread_cancels_a_stream),
		WITH_SERVER(finishing_early_cancels),
		WITH_SERVER(stream_has_a_deadline),
		WITH_SERVER(receive_waits_only_as_long_as_it_was_told),
		WITH_SERVER(what_comes_between_two_receives_is_kept),
		WITH_SERVER(finish_with_a_receive_still_open),
		WITH_SERVER(both_sides_stream),
		WITH_SERVER(client_streams_and_gets_one_reply),
		WITH_SERVER(malformed_message_ends_a_stream),
		WITH_SERVER(sending_to_a_stream_that_failed_says_so),
		WITH_SERVER(caller_that_does_not_read_holds_nothing_up),
		cmocka_unit_test(long_calls_have_threads_of_their_own),
	};

	return cmocka_run_group_tests(tests, fixture_setup_process, fixture_teardown_process);
}
