/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's bytes: both ways, held back, and to the last one. No thread, no network. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rpc/relay.h"
#include "tls_fixture.h"

/* Between the two ends: what the kernel's and the relay's buffers may hold. */
#define HELD_MAX (1 << 20)

struct wire {
	struct tls_fixture *fixture; /* for its certificates */
	struct rpc_server *server;
	struct tls tls;
	struct relay *relay;
	SSL_CTX *context;
	SSL *client;
	int client_fd;
	int core_fd;		       /* as gRPC would have it */
	size_t from_client, from_core; /* bytes so far, in fill_and_drain() */
};

static int make_pair(int *ret_ours)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
			 0);
	*ret_ours = ends[0];
	return ends[1];
}

static void open_tls(struct wire *wire)
{
	const char *const paths[TLS_FILE_COUNT] = { "server.pem", "server.key", "ca.pem", NULL };
	struct err err;

	assert_int_equal(chdir(wire->fixture->folder), 0);
	if (tls_open(&wire->tls, paths, &err))
		fail_msg("%s", err.message);
	wire->context = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_use_certificate_chain_file(wire->context, "uri.pem"), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(wire->context, "uri.key", SSL_FILETYPE_PEM),
			 1);
	assert_int_equal(chdir("/"), 0);
	SSL_CTX_set_alpn_protos(wire->context, (const unsigned char *)"\x02h2", 3);
	SSL_CTX_set_mode(wire->context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static int setup(void **state)
{
	const struct rpc_peer peer = { .name = "controller", .san = "spiffe://test/controller" };
	const struct tcp_source source = { .text = "test" };
	struct wire *wire = calloc(1, sizeof(*wire));
	int fd, core_fd;
	struct err err;

	wire->fixture = tls_fixture_new(NULL, NULL);
	wire->server = rpc_server_new(NULL);
	assert_int_equal(rpc_server_add_peer(wire->server, &peer, &err), 0);
	open_tls(wire);
	fd = make_pair(&wire->client_fd);
	wire->relay = relay_new(&wire->tls, wire->server, fd, &source, 0);
	wire->client = SSL_new(wire->context);
	SSL_set_fd(wire->client, wire->client_fd);
	for (int i = 0; i < 10 && wire->relay->state != RELAY_KNOWN; i++) {
		(void)SSL_connect(wire->client);
		relay_run(wire->relay, 0);
	}
	assert_int_equal(wire->relay->state, RELAY_KNOWN);
	assert_string_equal(wire->relay->who.peer->who.name, "controller");
	core_fd = make_pair(&wire->core_fd);
	relay_join(wire->relay, core_fd);
	*state = wire;
	return 0;
}

static int teardown(void **state)
{
	struct wire *wire = *state;

	relay_free(wire->relay);
	SSL_free(wire->client);
	SSL_CTX_free(wire->context);
	if (wire->client_fd >= 0)
		close(wire->client_fd);
	if (wire->core_fd >= 0)
		close(wire->core_fd);
	tls_close(&wire->tls);
	rpc_server_free(wire->server);
	tls_fixture_free(wire->fixture);
	free(wire);
	return 0;
}

/* ---- Both ends ------------------------------------------------------------------ */

static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 7 + position / 251);
}

/* Bytes written, from `position` of the pattern on; 0: held back. */
static size_t put(struct wire *wire, bool client, size_t position)
{
	uint8_t bytes[10007];
	size_t written = 0;
	ssize_t size;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = byte_at(position + i);
	if (client)
		return SSL_write_ex(wire->client, bytes, sizeof(bytes), &written) ? written : 0;
	size = send(wire->core_fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	return size > 0 ? (size_t)size : 0;
}

/* Bytes read, and checked to be those from `position` on; 0: none there. */
static size_t get(struct wire *wire, bool client, size_t position)
{
	uint8_t bytes[10007];
	size_t size = 0;
	ssize_t r;

	if (client) {
		if (!SSL_read_ex(wire->client, bytes, sizeof(bytes), &size))
			return 0;
	} else {
		r = recv(wire->core_fd, bytes, sizeof(bytes), 0);
		size = r > 0 ? (size_t)r : 0;
	}
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], byte_at(position + i));
	return size;
}

static void run(struct wire *wire)
{
	while (relay_run(wire->relay, 0))
		continue;
}

/*
 * Writes until no more is taken, while nobody reads; then reads it all. What OpenSSL could
 * not send must come first the next time, so positions go on from one round to the next.
 */
static void fill_and_drain(struct wire *wire, bool from_client)
{
	size_t *count = from_client ? &wire->from_client : &wire->from_core;
	size_t sent = *count, received = *count, size;

	do {
		size = put(wire, from_client, sent);
		sent += size;
		run(wire);
		assert_true(sent - *count < HELD_MAX);
	} while (size);
	assert_true(sent - *count > 16 * 1024);
	do {
		size = get(wire, !from_client, received);
		received += size;
		run(wire);
	} while (size);
	assert_int_equal(received, sent);
	*count = sent;
}

static void who_does_not_read_holds_the_other_back(void **state)
{
	struct wire *wire = *state;

	for (int round = 0; round < 3; round++) {
		fill_and_drain(wire, true);
		fill_and_drain(wire, false);
	}
	assert_int_equal(wire->relay->state, RELAY_OPEN);
}

static void one_way_goes_on_while_the_other_is_held_back(void **state)
{
	struct wire *wire = *state;
	size_t sent = 0, received = 0;

	while (put(wire, true, 0) > 0) /* the core reads nothing */
		run(wire);
	while (sent < 3 * HELD_MAX) {
		sent += put(wire, false, sent);
		run(wire);
		received += get(wire, true, received);
	}
	while (received < sent) {
		run(wire);
		received += get(wire, true, received);
	}
	assert_int_equal(received, sent);
}

static void idle_connection_has_no_buffers(void **state)
{
	struct wire *wire = *state;

	assert_true(put(wire, true, 0) > 0);
	run(wire);
	assert_null(wire->relay->in.bytes);
	assert_null(wire->relay->out.bytes);
}

static void client_may_end_its_side_and_still_read(void **state)
{
	struct wire *wire = *state;
	size_t sent = 0, received = 0, size = 0;
	char byte;

	size = put(wire, true, 0);
	assert_true(size > 0);
	SSL_shutdown(wire->client);
	run(wire);
	assert_int_equal(get(wire, false, 0), size);
	assert_int_equal(recv(wire->core_fd, &byte, 1, 0), 0); /* the end, after all bytes */
	assert_int_equal(wire->relay->state, RELAY_OPEN);

	for (int i = 0; i < 5; i++)
		sent += put(wire, false, sent);
	close(wire->core_fd);
	wire->core_fd = -1;
	run(wire);
	do {
		size = get(wire, true, received);
		received += size;
		run(wire);
	} while (size);
	assert_int_equal(received, sent);
	assert_int_equal(SSL_get_shutdown(wire->client), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(wire->relay->state, RELAY_CLOSING);
	close(wire->client_fd);
	wire->client_fd = -1;
	run(wire);
	assert_int_equal(wire->relay->state, RELAY_CLOSED);
}

static void last_words_come_through_though_the_client_still_sends(void **state)
{
	struct wire *wire = *state;
	size_t sent = put(wire, false, 0);

	put(wire, true, 0);
	close(wire->core_fd);
	wire->core_fd = -1;
	run(wire);
	put(wire, true, 0);
	run(wire);
	assert_int_equal(get(wire, true, 0), sent);
	assert_int_equal(get(wire, true, 0), 0);
	assert_true(SSL_get_shutdown(wire->client) & SSL_RECEIVED_SHUTDOWN);
}

static void client_that_vanishes_ends_the_core_s_side(void **state)
{
	struct wire *wire = *state;

	close(wire->client_fd); /* and says no goodbye */
	wire->client_fd = -1;
	run(wire);
	assert_int_equal(wire->relay->state, RELAY_CLOSED);
}

static void bytes_that_are_no_tls_end_the_connection(void **state)
{
	struct wire *wire = *state;
	char byte;

	assert_int_equal(write(wire->client_fd, "no record of TLS at all", 23), 23);
	run(wire);
	assert_int_equal(wire->relay->state, RELAY_CLOSED);
	assert_int_equal(recv(wire->core_fd, &byte, 1, 0), -1); /* nothing came out */
	assert_int_equal(errno, EAGAIN);
}

static void client_that_does_not_hang_up_is_hung_up_on(void **state)
{
	struct wire *wire = *state;

	relay_end(wire->relay, 1000);
	assert_int_equal(wire->relay->state, RELAY_CLOSING);
	relay_run(wire->relay, 1000 + RELAY_CLOSE_MS - 1);
	assert_int_equal(wire->relay->state, RELAY_CLOSING);
	relay_run(wire->relay, 1000 + RELAY_CLOSE_MS);
	assert_int_equal(wire->relay->state, RELAY_CLOSED);
}

#define WITH_WIRE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WIRE(who_does_not_read_holds_the_other_back),
		WITH_WIRE(one_way_goes_on_while_the_other_is_held_back),
		WITH_WIRE(idle_connection_has_no_buffers),
		WITH_WIRE(client_may_end_its_side_and_still_read),
		WITH_WIRE(last_words_come_through_though_the_client_still_sends),
		WITH_WIRE(client_that_vanishes_ends_the_core_s_side),
		WITH_WIRE(bytes_that_are_no_tls_end_the_connection),
		WITH_WIRE(client_that_does_not_hang_up_is_hung_up_on),
	};

	return cmocka_run_group_tests(tests, tls_fixture_setup_process,
				      tls_fixture_teardown_process);
}
