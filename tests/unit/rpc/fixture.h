/* SPDX-License-Identifier: Apache-2.0 */
/* A server of the echo service on a socket in a folder of its own, and a channel to it. */

#ifndef TESTS_RPC_FIXTURE_H
#define TESTS_RPC_FIXTURE_H

#include "echo_service.h"

struct fixture {
	char folder[64];
	char path[96]; /* of the socket */
	struct echo echo;
	struct rpc_server *server;
	struct rpc_channel *channel;
};

/* For cmocka: once for a program, and before and after each test. */
int fixture_setup_process(void **state);
int fixture_teardown_process(void **state);
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* NULL options: the defaults. Each fails the test when it fails. */
struct fixture *fixture_new(const struct rpc_server_options *options);
void fixture_free(struct fixture *fixture);
void fixture_start_server(struct fixture *fixture, const struct rpc_server_options *options);
void fixture_stop_server(struct fixture *fixture, int grace_ms);

/* One Echo of `text`: 0 when it came back, else -1 with *err. */
int fixture_echo(struct rpc_channel *channel, const char *text, struct err *err);

/* Any unary call with an EchoRequest; the reply is checked to be there. */
int fixture_call(struct fixture *fixture, enum echo_method method,
		 const Hypeman__Test__V1__EchoRequest *request, int timeout_ms,
		 Hypeman__Test__V1__EchoResponse **ret, struct err *err);

int64_t now_ms(void); /* CLOCK_MONOTONIC */

/* Waits up to 10 s: machines that run tests may be busy. */
void expect_soon(atomic_int *value, int expected);

#endif
