/* SPDX-License-Identifier: Apache-2.0 */
/* What goes through TLS, how much of it, and what happens when there is too much. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "google/protobuf/empty.pb-c.h"
#include "tls_fixture.h"

static const struct tls_client good = { .name = "uri", .protocol = "h2", TLS1_3_VERSION };

/* ---- Calls ---------------------------------------------------------------------- */

static void expect_echo(const struct tls_fixture *fixture)
{
	struct err err;

	if (tls_fixture_echo(fixture, "uri", &err))
		fail_msg("%s", err.message);
}

/* Sends `size` bytes, asks for `reply_size`, and checks each byte of an echo. */
static int exchange(struct rpc_channel *channel, size_t size, uint32_t reply_size, struct err *err)
{
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	const struct rpc_call_options options = { .timeout_ms = 30000 };
	Hypeman__Test__V1__EchoResponse *reply;
	ProtobufCMessage *message = NULL;
	int r;

	request.payload.data = malloc(size + 1);
	request.payload.len = size;
	for (size_t i = 0; i < size; i++)
		request.payload.data[i] = (uint8_t)(i * 31 + i / 256);
	if (reply_size) {
		request.reply_bytes_opt_case =
			HYPEMAN__TEST__V1__ECHO_REQUEST__REPLY_BYTES_OPT_REPLY_BYTES;
		request.reply_bytes = reply_size;
	}
	r = rpc_channel_call(channel, ECHO, ECHO_ECHO, &request.base, &options, &message, err);
	if (r == 0) {
		reply = (Hypeman__Test__V1__EchoResponse *)message;
		assert_int_equal(reply->payload.len, reply_size ? reply_size : size);
		if (!reply_size)
			assert_memory_equal(reply->payload.data, request.payload.data, size);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	free(request.payload.data);
	return r;
}

static void bytes_come_through_as_they_were_sent(void **state)
{
	static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 65536, 300001, 1000000 };
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", "agent.test");
	struct err err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (exchange(channel, sizes[i], 0, &err))
			fail_msg("%zu bytes: %s", sizes[i], err.message);
	assert_int_equal(exchange(channel, 10, 4000000, &err), 0);
	rpc_channel_free(channel);
}

static void huge_message_harms_nobody(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", "agent.test");
	struct err err;

	assert_int_equal(exchange(channel, 100000000, 0, &err), -1);
	assert_int_equal(err.reason, ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(exchange(channel, 1000, 0, &err), 0);
	rpc_channel_free(channel);
}

static void both_sides_stream(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", "agent.test");
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	uint8_t bytes[20000];
	struct err err;

	memset(bytes, 'x', sizeof(bytes));
	stream = rpc_stream_open(channel, ECHO, ECHO_CHAT, NULL, &err);
	assert_non_null(stream);
	for (uint32_t i = 0; i < 200; i++) {
		request.payload.data = bytes;
		request.payload.len = i * 100;
		assert_int_equal(rpc_stream_send(stream, &request.base), 0);
		assert_int_equal(rpc_stream_receive(stream, &message), 1);
		assert_int_equal(((Hypeman__Test__V1__EchoResponse *)message)->payload.len,
				 request.payload.len);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	rpc_stream_close_send(stream);
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	assert_int_equal(rpc_stream_finish(stream, &err), 0);
	rpc_channel_free(channel);
}

struct caller {
	struct rpc_channel *channel;
	int failed;
	char message[128];
};

static void *call_often(void *arg)
{
	struct caller *caller = arg;
	struct err err;

	for (int i = 0; i < 20; i++)
		if (exchange(caller->channel, (size_t)i * 3000, 0, &err)) {
			caller->failed++;
			snprintf(caller->message, sizeof(caller->message), "%s", err.message);
		}
	return NULL;
}

static void many_call_at_once(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channels[4];
	struct caller callers[64] = { 0 };
	pthread_t threads[64];

	for (int i = 0; i < 4; i++)
		channels[i] = tls_fixture_channel(fixture, "uri", "agent.test");
	for (int i = 0; i < 64; i++) {
		callers[i].channel = channels[i % 4];
		pthread_create(&threads[i], NULL, call_often, &callers[i]);
	}
	for (int i = 0; i < 64; i++) {
		pthread_join(threads[i], NULL);
		if (callers[i].failed)
			fail_msg("%d calls failed: %s", callers[i].failed, callers[i].message);
	}
	for (int i = 0; i < 4; i++)
		rpc_channel_free(channels[i]);
}

/* ---- Places --------------------------------------------------------------------- */

static void silent_and_plain_clients_are_closed(void **state)
{
	const struct rpc_tls_options options = { .handshake_ms = 500 };
	struct tls_fixture *fixture = tls_fixture_new(NULL, &options);
	int64_t start = now_ms();
	int silent = tls_fixture_connect(fixture, 1);
	int halting = tls_fixture_connect(fixture, 1);
	int plain = tls_fixture_connect(fixture, 1);

	(void)state;
	assert_int_equal(write(halting, "\x16\x03\x01\x02\x00\x01", 6), 6);
	assert_int_equal(write(plain, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 24);
	assert_true(tls_fixture_is_closed(plain, 5000));
	assert_true(tls_fixture_is_closed(silent, 10000));
	assert_true(now_ms() - start >= 450);
	assert_true(tls_fixture_is_closed(halting, 10000));
	close(silent);
	close(halting);
	close(plain);
	expect_echo(fixture);
	tls_fixture_free(fixture);
}

static void one_address_cannot_take_every_place(void **state)
{
	const struct rpc_tls_options options = { .max_per_address = 5 };
	struct tls_fixture *fixture = tls_fixture_new(NULL, &options);
	int fds[5], excess;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true((fds[i] = tls_fixture_connect(fixture, 2)) >= 0);
	excess = tls_fixture_connect(fixture, 2);
	assert_true(tls_fixture_is_closed(excess, 2000));
	for (int i = 0; i < 5; i++)
		assert_false(tls_fixture_is_closed(fds[i], 0));
	expect_echo(fixture); /* from 127.0.0.1 */
	close(excess);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	tls_fixture_free(fixture);
}

static void those_who_say_nothing_keep_nobody_out(void **state)
{
	struct tls_fixture *fixture = *state;
	int fds[150];

	for (int i = 0; i < 150; i++)
		assert_true((fds[i] = tls_fixture_connect(fixture, 2 + i / 50)) >= 0);
	expect_echo(fixture);
	assert_true(tls_fixture_is_closed(fds[0], 1000)); /* the oldest made room */
	assert_false(tls_fixture_is_closed(fds[149], 0));
	for (int i = 0; i < 150; i++)
		close(fds[i]);
}

static void one_peer_has_three_quarters_of_the_places(void **state)
{
	const struct tls_client reader = { .name = "dns", .protocol = "h2", TLS1_3_VERSION };
	const struct rpc_tls_options options = { .max_connections = 8 };
	struct tls_fixture *fixture = tls_fixture_new(NULL, &options);
	SSL *open[6], *others[2];

	(void)state;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 6; i++)
			assert_non_null(open[i] = tls_fixture_handshake(fixture, &good));
		assert_null(tls_fixture_handshake(fixture, &good));
		for (int i = 0; i < 2; i++)
			assert_non_null(others[i] = tls_fixture_handshake(fixture, &reader));
		assert_null(tls_fixture_handshake(fixture, &reader));
		for (int i = 0; i < 6; i++)
			tls_fixture_hang_up(open[i]);
		for (int i = 0; i < 2; i++)
			tls_fixture_hang_up(others[i]);
		usleep(200000); /* until the server has seen it */
	}
	tls_fixture_free(fixture);
}

/* As many as there can be, each costing this process two descriptors, or four when good. */
static void exhaust(struct tls_fixture *fixture, bool with_handshake)
{
	SSL *connections[250] = { 0 };
	int fds[500], count = 0;

	for (int i = 0; i < (with_handshake ? 12 : 0); i++)
		connections[i] = tls_fixture_handshake(fixture, &good);
	while (count < 500) {
		int fd = tls_fixture_connect(fixture, 1 + count % 50);

		if (fd < 0 && (errno == EMFILE || errno == EAGAIN))
			break;
		assert_true(fd >= 0);
		fds[count++] = fd;
	}
	usleep(200000);
	assert_true(count > 10 && count < 200);
	for (int i = 0; i < 250; i++)
		if (connections[i])
			tls_fixture_hang_up(connections[i]);
	while (count > 0)
		close(fds[--count]);
}

static void server_recovers_from_want_of_descriptors(void **state)
{
	struct tls_fixture *fixture = *state;
	struct rlimit before, limit;
	struct err err;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 150;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int round = 0; round < 4; round++) {
		int r = -1;

		exhaust(fixture, round % 2);
		for (int i = 0; i < 50 && r; i++) {
			r = tls_fixture_echo(fixture, "uri", &err);
			if (r)
				usleep(100000);
		}
		if (r)
			fail_msg("%s", err.message);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- The end -------------------------------------------------------------------- */

static void server_stops_with_connections_open(void **state)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct tls_fixture *fixture = *state;
	struct rpc_channel *channel = tls_fixture_channel(fixture, "uri", "agent.test");
	SSL *idle = tls_fixture_handshake(fixture, &good);
	int silent = tls_fixture_connect(fixture, 1);
	ProtobufCMessage *message = NULL;
	struct rpc_stream *stream;
	int64_t start;
	struct err err;

	assert_non_null(idle);
	stream = rpc_stream_open(channel, ECHO, ECHO_HOLD, NULL, &err);
	assert_non_null(stream);
	rpc_stream_send(stream, &empty.base);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);

	start = now_ms();
	rpc_server_stop(fixture->server, 1000);
	assert_true(now_ms() - start < 8000);
	assert_true(tls_fixture_is_closed(silent, 0));
	assert_true(tls_fixture_is_closed(SSL_get_fd(idle), 0));
	assert_int_equal(rpc_stream_receive(stream, &message), 0);
	assert_int_equal(rpc_stream_finish(stream, &err), 0); /* its last words came through */
	assert_int_equal(tls_fixture_connect(fixture, 1), -1);
	rpc_server_free(fixture->server);
	fixture->server = NULL;
	close(silent);
	tls_fixture_hang_up(idle);
	rpc_channel_free(channel);
}

/* Connections that come while the server stops must not reach a gRPC that is gone. */
static void *connect_often(void *arg)
{
	for (int i = 0; i < 100; i++) {
		SSL *connection = tls_fixture_handshake(arg, &good);

		if (!connection)
			return NULL;
		tls_fixture_hang_up(connection);
	}
	return NULL;
}

static void server_stops_while_others_connect(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct tls_fixture *fixture = tls_fixture_new(NULL, NULL);
		pthread_t threads[4];

		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, connect_often, fixture);
		usleep(50000 * (unsigned)round);
		rpc_server_stop(fixture->server, 0);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		tls_fixture_free(fixture);
	}
}

#define WITH_SERVER(test)                                                                          \
	cmocka_unit_test_setup_teardown(test, tls_fixture_setup, tls_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(bytes_come_through_as_they_were_sent),
		WITH_SERVER(huge_message_harms_nobody),
		WITH_SERVER(both_sides_stream),
		WITH_SERVER(many_call_at_once),
		cmocka_unit_test(silent_and_plain_clients_are_closed),
		cmocka_unit_test(one_address_cannot_take_every_place),
		WITH_SERVER(those_who_say_nothing_keep_nobody_out),
		cmocka_unit_test(one_peer_has_three_quarters_of_the_places),
		WITH_SERVER(server_recovers_from_want_of_descriptors),
		WITH_SERVER(server_stops_with_connections_open),
		cmocka_unit_test(server_stops_while_others_connect),
	};

	return cmocka_run_group_tests(tests, tls_fixture_setup_process,
				      tls_fixture_teardown_process);
}
