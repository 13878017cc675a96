/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

/* Made once for a program; each test has a copy to spoil. */
static char made[] = "/tmp/hypeman-tls-made.XXXXXX";

static void run_shell(const char *folder, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", folder, command);
	assert_int_equal(system(line), 0);
}

int tls_fixture_setup_process(void **state)
{
	if (!mkdtemp(made))
		return -1;
	run_shell(made, MAKE_CERTIFICATES " .");
	return fixture_setup_process(state);
}

int tls_fixture_teardown_process(void **state)
{
	run_shell(made, "rm -r \"$PWD\"");
	return fixture_teardown_process(state);
}

static void expect_ok(int r, const struct err *err)
{
	if (r)
		fail_msg("%s", err->message);
}

static void start(struct tls_fixture *fixture, const struct rpc_server_options *options,
		  const struct rpc_tls_options *numbers)
{
	const struct rpc_peer peers[] = {
		{ .name = "controller", .san = "spiffe://test/controller", .roles = ECHO_ROLE },
		{ .name = "reader", .san = "reader.test" },
		{ .name = "local", .uid = getuid(), .roles = ECHO_ROLE },
	};
	struct rpc_tls_options tls = numbers ? *numbers : (struct rpc_tls_options){ 0 };
	char paths[4][96];
	struct err err;

	snprintf(paths[0], sizeof(paths[0]), "%s/server.pem", fixture->folder);
	snprintf(paths[1], sizeof(paths[1]), "%s/server.key", fixture->folder);
	snprintf(paths[2], sizeof(paths[2]), "%s/ca.pem", fixture->folder);
	snprintf(paths[3], sizeof(paths[3]), "%s/crl.pem", fixture->folder);
	tls.address = "127.0.0.1:0";
	tls.certificate = paths[0];
	tls.key = paths[1];
	tls.ca = paths[2];
	tls.crl = tls.crl ? paths[3] : NULL;
	fixture->server = rpc_server_new(options);
	assert_non_null(fixture->server);
	expect_ok(echo_add(fixture->server, &fixture->echo, &err), &err);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		expect_ok(rpc_server_add_peer(fixture->server, &peers[i], &err), &err);
	expect_ok(rpc_server_listen_tls(fixture->server, &tls, &err), &err);
	expect_ok(rpc_server_start(fixture->server, &err), &err);
	fixture->port = rpc_server_tls_port(fixture->server);
}

struct tls_fixture *tls_fixture_new(const struct rpc_server_options *options,
				    const struct rpc_tls_options *tls)
{
	struct tls_fixture *fixture = calloc(1, sizeof(*fixture));
	char copy[64];

	assert_non_null(fixture);
	strcpy(fixture->folder, "/tmp/hypeman-tls.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(copy, sizeof(copy), "cp -a %s/. .", made);
	tls_fixture_shell(fixture, copy);
	start(fixture, options, tls);
	return fixture;
}

void tls_fixture_free(struct tls_fixture *fixture)
{
	if (fixture->server) {
		rpc_server_stop(fixture->server, 0);
		rpc_server_free(fixture->server);
	}
	tls_fixture_shell(fixture, "rm -r \"$PWD\"");
	free(fixture);
}

int tls_fixture_setup(void **state)
{
	*state = tls_fixture_new(NULL, NULL);
	return 0;
}

int tls_fixture_teardown(void **state)
{
	tls_fixture_free(*state);
	return 0;
}

void tls_fixture_shell(struct tls_fixture *fixture, const char *command)
{
	run_shell(fixture->folder, command);
}

void tls_fixture_make(struct tls_fixture *fixture, const char *arguments)
{
	char line[512];

	snprintf(line, sizeof(line), MAKE_CERTIFICATES " . %s", arguments);
	tls_fixture_shell(fixture, line);
}

struct rpc_channel *tls_fixture_channel(const struct tls_fixture *fixture, const char *name,
					const char *server_name)
{
	char address[32], ca[96], certificate[96], key[96];
	const struct rpc_tls_client client = {
		.address = address,
		.ca = ca,
		.certificate = certificate,
		.key = key,
		.server_name = server_name,
	};
	struct rpc_channel *channel;

	snprintf(address, sizeof(address), "127.0.0.1:%d", fixture->port);
	snprintf(ca, sizeof(ca), "%s/ca.pem", fixture->folder);
	snprintf(certificate, sizeof(certificate), "%s/%s.pem", fixture->folder, name);
	snprintf(key, sizeof(key), "%s/%s.key", fixture->folder, name);
	channel = rpc_channel_new_tls(&client);
	assert_non_null(channel);
	return channel;
}

int tls_fixture_echo(const struct tls_fixture *fixture, const char *name, struct err *err)
{
	struct rpc_channel *channel = tls_fixture_channel(fixture, name, "agent.test");
	int r = fixture_echo(channel, "hello", err);

	rpc_channel_free(channel);
	return r;
}

int tls_fixture_connect(const struct tls_fixture *fixture, int source)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (in_addr_t)source);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((in_port_t)fixture->port);
	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0 &&
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

bool tls_fixture_is_closed(int fd, int timeout_ms)
{
	const int64_t until = now_ms() + timeout_ms;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	char bytes[256];

	for (;;) {
		int64_t left = until - now_ms();

		if (poll(&pollfd, 1, left > 0 ? (int)left : 0) == 0)
			return false;
		if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	}
}

static SSL_CTX *create_context(const struct tls_fixture *fixture, const struct tls_client *client)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	unsigned char protocol[32];
	char path[96];

	assert_non_null(context);
	SSL_CTX_set_min_proto_version(context, client->version);
	SSL_CTX_set_max_proto_version(context, client->version);
	if (client->name) {
		snprintf(path, sizeof(path), "%s/%s.pem", fixture->folder, client->name);
		assert_int_equal(SSL_CTX_use_certificate_chain_file(context, path), 1);
		snprintf(path, sizeof(path), "%s/%s.key", fixture->folder, client->name);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM), 1);
	}
	if (client->protocol) {
		protocol[0] = (unsigned char)strlen(client->protocol);
		memcpy(protocol + 1, client->protocol, protocol[0]);
		SSL_CTX_set_alpn_protos(context, protocol, protocol[0] + 1u);
	}
	return context;
}

SSL *tls_fixture_handshake(const struct tls_fixture *fixture, const struct tls_client *client)
{
	SSL_CTX *context = create_context(fixture, client);
	SSL *connection = SSL_new(context);
	int fd = tls_fixture_connect(fixture, 1);
	char frame[9];

	SSL_CTX_free(context);
	if (fd < 0) {
		SSL_free(connection);
		return NULL;
	}
	SSL_set_fd(connection, fd);
	/*
	 * In TLS 1.3 the client is done before the server has seen its certificate: only the
	 * settings that an HTTP/2 server sends first show that it was taken.
	 */
	if (SSL_connect(connection) == 1 && SSL_read(connection, frame, sizeof(frame)) > 0)
		return connection;
	tls_fixture_hang_up(connection);
	return NULL;
}

void tls_fixture_hang_up(SSL *connection)
{
	close(SSL_get_fd(connection));
	SSL_free(connection);
}
