/* SPDX-License-Identifier: Apache-2.0 */
/* A server of the echo service that listens for TLS, and clients of many kinds. */

#ifndef TESTS_RPC_TLS_FIXTURE_H
#define TESTS_RPC_TLS_FIXTURE_H

#include <openssl/ssl.h>

#include "echo_service.h"

struct tls_fixture {
	char folder[64]; /* of certificates: see make-certificates */
	struct echo echo;
	struct rpc_server *server;
	int port;
};

/* For cmocka: once for a program. */
int tls_fixture_setup_process(void **state);
int tls_fixture_teardown_process(void **state);

/*
 * Peers: "controller" (spiffe://test/controller) may call, "reader" (reader.test) may not.
 * NULL options: the defaults; of tls only the numbers count, and crl non-NULL means the
 * list in the folder.
 */
struct tls_fixture *tls_fixture_new(const struct rpc_server_options *options,
				    const struct rpc_tls_options *tls);
void tls_fixture_free(struct tls_fixture *fixture);
int tls_fixture_setup(void **state);
int tls_fixture_teardown(void **state);

/* Runs make-certificates in the folder, or any other command line of a shell. */
void tls_fixture_make(struct tls_fixture *fixture, const char *arguments);
void tls_fixture_shell(struct tls_fixture *fixture, const char *command);

/* A channel that shows NAME.pem and expects the server to be server_name. */
struct rpc_channel *tls_fixture_channel(const struct tls_fixture *fixture, const char *name,
					const char *server_name);

/* One Echo on a channel of its own: 0, or -1 with *err. */
int tls_fixture_echo(const struct tls_fixture *fixture, const char *name, struct err *err);

/* A plain TCP connection from 127.0.0.SOURCE; -1 with errno. */
int tls_fixture_connect(const struct tls_fixture *fixture, int source);

/* Whether the server closes or resets the connection in this time; what it sends is dropped. */
bool tls_fixture_is_closed(int fd, int timeout_ms);

/* A TLS client as it should not be. */
struct tls_client {
	const char *name;     /* of the certificate; NULL: none */
	const char *protocol; /* offered by ALPN; NULL: nothing */
	int version;	      /* the only one */
};

/*
 * A connection from 127.0.0.1 with its handshake done, or NULL when the server refused, by
 * an alert or by closing. Free it with tls_fixture_hang_up().
 */
SSL *tls_fixture_handshake(const struct tls_fixture *fixture, const struct tls_client *client);
void tls_fixture_hang_up(SSL *connection);

#endif
