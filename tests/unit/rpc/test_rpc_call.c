/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls: what comes back, and how they fail. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rpc/utf8.h"

#include "fixture.h"

typedef Hypeman__Test__V1__EchoRequest echo_request;
typedef Hypeman__Test__V1__EchoResponse echo_response;

#define ECHO_REQUEST_INIT HYPEMAN__TEST__V1__ECHO_REQUEST__INIT

static char *text(const char *value)
{
	return (char *)(uintptr_t)value;
}

static void echo_returns_what_was_sent(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	uint8_t bytes[] = { 0, 1, 0xff };
	echo_response *response;
	struct err err;

	request.text = text("h\xc3\xa9llo");
	request.payload = (ProtobufCBinaryData){ sizeof(bytes), bytes };
	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, &response, &err), 0);

	assert_string_equal(response->text, "h\xc3\xa9llo");
	assert_int_equal(response->payload.len, 3);
	assert_memory_equal(response->payload.data, bytes, 3);
	assert_string_equal(response->peer, "tester");
	assert_int_equal(response->uid, getuid());
	protobuf_c_message_free_unpacked(&response->base, NULL);
}

/* gRPC rounds what it sends up by as much as 2 %. */
static void handler_sees_how_much_time_is_left(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	echo_response *response;
	struct err err;

	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, &response, &err), 0);
	assert_in_range(response->time_left_ms, 4000, 5100);
	protobuf_c_message_free_unpacked(&response->base, NULL);

	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 0, &response, &err), 0);
	assert_in_range(response->time_left_ms, 29000, 30600);
	protobuf_c_message_free_unpacked(&response->base, NULL);

	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, -1, &response, &err), 0);
	assert_true(response->time_left_ms == -1);
	protobuf_c_message_free_unpacked(&response->base, NULL);
}

static void every_reason_arrives_with_its_word(void **state)
{
	for (enum err_reason reason = ERR_NONE + 1; reason < ERR_REASON_COUNT; reason++) {
		echo_request request = ECHO_REQUEST_INIT;
		struct err err;

		request.fail_reason = text(err_reason_info(reason)->word);
		request.text = text("gpu 0");
		assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, NULL, &err), -1);
		assert_string_equal(err_reason_info(err.reason)->word, request.fail_reason);
		assert_string_equal(err.message, "asked to fail: gpu 0, 100% of \xc3\xa4");
	}
}

static void field_and_details_arrive_too(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	struct err err;

	request.fail_reason = text("insufficient_capacity");
	request.text = text("other size");
	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, NULL, &err), -1);

	assert_string_equal(err.field, "echo.text");
	assert_int_equal(err.detail_count, ERR_DETAILS_MAX);
	assert_string_equal(err.details[3].type, "size_locked");
	assert_string_equal(err.details[3].subject, "part-3");
	assert_string_equal(err.details[3].message, "other size");
}

/* A stock client accepts 8 KiB of trailers: the status must arrive, if not all details. */
static void status_arrives_however_long_the_details_are(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	char long_text[600];
	struct err err;

	memset(long_text, 0, sizeof(long_text));
	for (size_t i = 0; i + 2 < sizeof(long_text); i += 2)
		memcpy(long_text + i, "\xc3\xa4", 2);
	request.fail_reason = text("insufficient_capacity");
	request.text = long_text;
	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, NULL, &err), -1);

	assert_int_equal(err.reason, ERR_INSUFFICIENT_CAPACITY);
	assert_in_range(err.detail_count, 8, ERR_DETAILS_MAX - 1);
	assert_true(strlen(err.message) > 500);
}

/* err texts are cut at a fixed size, and half a character is no UTF-8. */
static void texts_cut_inside_a_character_are_repaired(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	char long_text[700];
	struct err err;

	for (size_t shift = 0; shift < 2; shift++) {
		memset(long_text, 'x', sizeof(long_text));
		for (size_t i = shift; i + 2 < sizeof(long_text); i += 2)
			memcpy(long_text + i, "\xc3\xa4", 2);
		long_text[sizeof(long_text) - 1] = '\0';
		request.fail_reason = text("wrong_state");
		request.text = long_text;
		assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, NULL, &err), -1);

		assert_int_equal(err.reason, ERR_WRONG_STATE);
		assert_int_equal(utf8_valid_length(err.message, strlen(err.message)),
				 strlen(err.message));
	}
}

static void methods_without_handler_are_not_implemented(void **state)
{
	ProtobufCServiceDescriptor unknown = *ECHO;
	struct fixture *fixture = *state;
	echo_request request = ECHO_REQUEST_INIT;
	ProtobufCMessage *reply = NULL;
	struct err err;

	assert_int_equal(fixture_call(fixture, ECHO_MISSING, &request, 5000, NULL, &err), -1);
	assert_int_equal(err.reason, ERR_NOT_IMPLEMENTED);

	unknown.name = "hypeman.test.v1.NoSuchService";
	assert_int_equal(
		rpc_channel_call(fixture->channel, &unknown, 0, &request.base, NULL, &reply, &err),
		-1);
	assert_int_equal(err.reason, ERR_NOT_IMPLEMENTED);
	assert_string_equal(err.message, "/hypeman.test.v1.NoSuchService/Echo: "
					 "this server has no such method");
}

static void peer_without_the_role_is_refused(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	struct err err;

	assert_int_equal(fixture_call(*state, ECHO_FORBIDDEN, &request, 5000, NULL, &err), -1);
	assert_int_equal(err.reason, ERR_FORBIDDEN);
	assert_string_equal(err.message,
			    "peer tester may not call /hypeman.test.v1.EchoService/Forbidden");
}

static void handler_without_reply_is_an_internal_error(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	struct err err;

	assert_int_equal(fixture_call(*state, ECHO_SILENT, &request, 5000, NULL, &err), -1);
	assert_int_equal(err.reason, ERR_INTERNAL);
}

/* Sends a field with this number, of wire type 2, with exactly these bytes after its tag. */
static int call_raw(struct fixture *fixture, uint32_t field, const void *data, size_t size,
		    struct err *err)
{
	ProtobufCMessageUnknownField unknown = { .tag = field,
						 .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
						 .len = size,
						 .data = (uint8_t *)(uintptr_t)data };
	echo_request request = ECHO_REQUEST_INIT;

	request.base.n_unknown_fields = 1;
	request.base.unknown_fields = &unknown;
	return fixture_call(fixture, ECHO_ECHO, &request, 5000, NULL, err);
}

static void malformed_messages_are_refused_by_name(void **state)
{
	static const struct {
		uint32_t field;
		const char *data;
		size_t size;
		const char *message;
	} cases[] = {
		{ 1, "\x02\xff\xfe", 3, "EchoRequest.text: text must be UTF-8 without NUL" },
		{ 1,
		  "\x03"
		  "a\0b",
		  4, "EchoRequest.text: text must be UTF-8 without NUL" },
		{ 1,
		  "\x7f"
		  "abc",
		  4, "EchoRequest.text: the message ends inside a field" },
		{ 7, "\x03\x12\x01\xff", 4, "Node.name: text must be UTF-8 without NUL" },
		{ 3, "\x01\x00", 2, "EchoRequest: a field has the wrong type" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err;

		assert_int_equal(
			call_raw(*state, cases[i].field, cases[i].data, cases[i].size, &err), -1);
		assert_int_equal(err.reason, ERR_MALFORMED_MESSAGE);
		assert_non_null(strstr(err.message, cases[i].message));
	}
}

/* Writes a varint before `end`; returns where it starts. */
static uint8_t *put_varint(uint8_t *end, size_t value)
{
	uint8_t bytes[10];
	size_t count = 0;

	do {
		bytes[count++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	return memcpy(end - count, bytes, count);
}

static void very_deep_message_is_refused(void **state)
{
	const size_t size = 1 << 20;
	uint8_t *buffer = malloc(size);
	uint8_t *start = buffer + size;
	struct err err;

	assert_non_null(buffer);
	for (int i = 0; i < 200000; i++) { /* Node.child, from the inside out */
		start = put_varint(start, (size_t)(buffer + size - start));
		*--start = (1 << 3) | 2;
	}
	start = put_varint(start, (size_t)(buffer + size - start));
	assert_int_equal(call_raw(*state, 7, start, (size_t)(buffer + size - start), &err), -1);
	assert_int_equal(err.reason, ERR_MALFORMED_MESSAGE);
	assert_non_null(strstr(err.message, "nested deeper than 64 levels"));
	free(buffer);
	assert_int_equal(fixture_echo(((struct fixture *)*state)->channel, "alive", &err), 0);
}

static void message_of_very_many_elements_is_refused(void **state)
{
	const size_t count = 100000;
	uint8_t *data = calloc(count, 2);
	struct err err;

	assert_non_null(data);
	for (size_t i = 0; i < count - 1; i++)
		data[1 + 2 * i] = (8 << 3) | 2; /* another empty Node */
	assert_int_equal(call_raw(*state, 8, data, 2 * count - 1, &err), -1);
	assert_int_equal(err.reason, ERR_MALFORMED_MESSAGE);
	assert_non_null(strstr(err.message, "more than 65536 elements"));
	free(data);
}

static int echo_bytes(struct fixture *fixture, size_t request_bytes, uint32_t reply_bytes,
		      struct err *err)
{
	echo_request request = ECHO_REQUEST_INIT;
	echo_response *response;
	uint8_t *data = calloc(1, request_bytes + 1);

	assert_non_null(data);
	request.payload = (ProtobufCBinaryData){ request_bytes, data };
	request.reply_bytes_opt_case = HYPEMAN__TEST__V1__ECHO_REQUEST__REPLY_BYTES_OPT_REPLY_BYTES;
	request.reply_bytes = reply_bytes;
	if (fixture_call(fixture, ECHO_ECHO, &request, 5000, &response, err) == 0) {
		assert_int_equal(response->payload.len, reply_bytes);
		protobuf_c_message_free_unpacked(&response->base, NULL);
		free(data);
		return 0;
	}
	free(data);
	return -1;
}

static void size_of_messages_is_limited(void **state)
{
	struct err err;

	assert_int_equal(echo_bytes(*state, 1000 << 10, 3 << 20, &err), 0);

	assert_int_equal(echo_bytes(*state, 5 << 20, 0, &err), -1);
	assert_int_equal(err.reason, ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(echo_bytes(*state, (1 << 20) + 1, 0, &err), -1);
	assert_int_equal(err.reason, ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(echo_bytes(*state, 0, 5 << 20, &err), -1);
	assert_int_equal(err.reason, ERR_MESSAGE_TOO_LARGE);

	assert_int_equal(echo_bytes(*state, 10, 10, &err), 0);
}

static void passed_deadline_means_unknown_outcome(void **state)
{
	struct fixture *fixture = *state;
	echo_request request = ECHO_REQUEST_INIT;
	int64_t start = now_ms();
	struct err err;

	request.delay_ms = 10000;
	assert_int_equal(fixture_call(fixture, ECHO_ECHO, &request, 1000, NULL, &err), -1);

	assert_int_equal(err.reason, ERR_OUTCOME_UNKNOWN);
	assert_string_equal(err.message,
			    "/hypeman.test.v1.EchoService/Echo gave no answer within 1000 ms");
	assert_in_range(now_ms() - start, 999, 9000);
	expect_soon(&fixture->echo.cancelled, 1); /* the handler was told */
}

static void deadline_and_cancellation_are_passed_on(void **state)
{
	struct fixture *fixture = *state;
	echo_request request = ECHO_REQUEST_INIT;
	echo_response *response;
	struct err err;

	assert_int_equal(fixture_call(fixture, ECHO_RELAY, &request, 2000, &response, &err), 0);
	assert_in_range(response->time_left_ms, 1, 2040); /* without a parent: 30,000 */
	protobuf_c_message_free_unpacked(&response->base, NULL);

	request.delay_ms = 10000;
	assert_int_equal(fixture_call(fixture, ECHO_RELAY, &request, 1000, NULL, &err), -1);
	assert_int_equal(err.reason, ERR_OUTCOME_UNKNOWN);
	expect_soon(&fixture->echo.cancelled, 1); /* the Echo behind the Relay */
}

static void relayed_failure_keeps_its_reason(void **state)
{
	echo_request request = ECHO_REQUEST_INIT;
	struct err err;

	request.fail_reason = text("unknown_profile");
	assert_int_equal(fixture_call(*state, ECHO_RELAY, &request, 2000, NULL, &err), -1);
	assert_int_equal(err.reason, ERR_UNKNOWN_PROFILE);
	assert_string_equal(err.field, "echo.text");
	assert_int_equal(err.detail_count, ERR_DETAILS_MAX);
}

struct caller {
	struct fixture *fixture;
	int failures;
	int overloads;
};

static void *call_many(void *arg)
{
	struct caller *caller = arg;

	for (int i = 0; i < 200; i++) {
		echo_request request = ECHO_REQUEST_INIT;
		const struct rpc_call_options options = { .timeout_ms = i % 7 ? 10000 : 1 };
		ProtobufCMessage *reply = NULL;
		char message[16];
		struct err err;
		int r;

		snprintf(message, sizeof(message), "m%d", i);
		request.text = message;
		request.delay_ms = i % 7 ? 0 : 3;
		r = rpc_channel_call(caller->fixture->channel, ECHO, ECHO_ECHO, &request.base,
				     &options, &reply, &err);
		if (r == 0)
			caller->failures += strcmp(((echo_response *)reply)->text, message) != 0;
		else
			caller->failures += i % 7 != 0 || err.reason != ERR_OUTCOME_UNKNOWN;
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	return NULL;
}

static void threads_share_a_channel(void **state)
{
	struct caller callers[8];
	pthread_t threads[8];

	for (int i = 0; i < 8; i++) {
		callers[i] = (struct caller){ .fixture = *state };
		pthread_create(&threads[i], NULL, call_many, &callers[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(callers[i].failures, 0);
	}
}

static void *call_busy(void *arg)
{
	struct caller *caller = arg;
	echo_request request = ECHO_REQUEST_INIT;
	struct err err;

	request.busy_ms = 700;
	if (fixture_call(caller->fixture, ECHO_ECHO, &request, 10000, NULL, &err)) {
		caller->failures = 1;
		caller->overloads = err.reason == ERR_OVERLOADED;
	}
	return NULL;
}

static void calls_beyond_the_queue_are_refused_at_once(void **state)
{
	const struct rpc_server_options options = { .workers = 1, .queue = 1 };
	struct fixture *fixture = fixture_new(&options);
	struct caller callers[6];
	pthread_t threads[6];
	int failures = 0, overloads = 0;

	(void)state;
	for (int i = 0; i < 6; i++) {
		callers[i] = (struct caller){ .fixture = fixture };
		pthread_create(&threads[i], NULL, call_busy, &callers[i]);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(threads[i], NULL);
		failures += callers[i].failures;
		overloads += callers[i].overloads;
	}
	assert_int_equal(failures, overloads);
	assert_in_range(overloads, 1, 5);
	fixture_free(fixture);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(echo_returns_what_was_sent),
		WITH_SERVER(handler_sees_how_much_time_is_left),
		WITH_SERVER(every_reason_arrives_with_its_word),
		WITH_SERVER(field_and_details_arrive_too),
		WITH_SERVER(status_arrives_however_long_the_details_are),
		WITH_SERVER(texts_cut_inside_a_character_are_repaired),
		WITH_SERVER(methods_without_handler_are_not_implemented),
		WITH_SERVER(peer_without_the_role_is_refused),
		WITH_SERVER(handler_without_reply_is_an_internal_error),
		WITH_SERVER(malformed_messages_are_refused_by_name),
		WITH_SERVER(very_deep_message_is_refused),
		WITH_SERVER(message_of_very_many_elements_is_refused),
		WITH_SERVER(size_of_messages_is_limited),
		WITH_SERVER(passed_deadline_means_unknown_outcome),
		WITH_SERVER(deadline_and_cancellation_are_passed_on),
		WITH_SERVER(relayed_failure_keeps_its_reason),
		WITH_SERVER(threads_share_a_channel),
		cmocka_unit_test(calls_beyond_the_queue_are_refused_at_once),
	};

	return cmocka_run_group_tests(tests, fixture_setup_process, fixture_teardown_process);
}
