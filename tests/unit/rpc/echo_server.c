/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The echo service as a program, for clients in other languages:
 *   rpc-test-server SOCKET [FOLDER]
 * Prints "ready" once it serves; SIGTERM ends it. SIGUSR1 turns the health of EchoService
 * over. With the FOLDER of make-certificates it listens for TLS at a port of 127.0.0.1 too,
 * with its list of revoked certificates, and prints "ready PORT".
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#include "echo_service.h"

static int listen_tls(struct rpc_server *server, const char *folder, struct err *err)
{
	const struct rpc_peer peers[] = {
		{ .name = "controller", .san = "spiffe://test/controller", .roles = ECHO_ROLE },
		{ .name = "reader", .san = "reader.test" },
	};
	char paths[4][256];
	const struct rpc_tls_options options = {
		.address = "127.0.0.1:0",
		.certificate = paths[0],
		.key = paths[1],
		.ca = paths[2],
		.crl = paths[3],
	};

	snprintf(paths[0], sizeof(paths[0]), "%s/server.pem", folder);
	snprintf(paths[1], sizeof(paths[1]), "%s/server.key", folder);
	snprintf(paths[2], sizeof(paths[2]), "%s/ca.pem", folder);
	snprintf(paths[3], sizeof(paths[3]), "%s/crl.pem", folder);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (rpc_server_add_peer(server, &peers[i], err))
			return -1;
	return rpc_server_listen_tls(server, &options, err);
}

static void say_ready(const struct rpc_server *server, bool has_tls)
{
	if (has_tls)
		printf("ready %d\n", rpc_server_tls_port(server));
	else
		puts("ready");
	fflush(stdout);
}

static int serve(const char *path, const char *folder, const sigset_t *signals, struct err *err)
{
	struct rpc_peer peer = { .name = "tester", .uid = getuid(), .roles = ECHO_ROLE };
	struct rpc_server *server = rpc_server_new(NULL);
	struct echo echo = { .self = rpc_channel_new(path, getuid()) };
	bool serving = true;
	int signal = 0;
	int r = -1;

	if (server && echo.self && echo_add(server, &echo, err) == 0 &&
	    rpc_server_add_peer(server, &peer, err) == 0 &&
	    rpc_server_listen_unix(server, path, 0600, err) == 0 &&
	    (!folder || listen_tls(server, folder, err) == 0))
		r = rpc_server_start(server, err);
	if (r == 0)
		say_ready(server, folder != NULL);
	while (r == 0 && signal != SIGTERM) {
		sigwait(signals, &signal);
		if (signal == SIGUSR1)
			rpc_server_set_health(server, ECHO->name, serving = !serving);
	}
	if (r == 0)
		rpc_server_stop(server, 1000);
	rpc_server_free(server);
	rpc_channel_free(echo.self);
	return r;
}

int main(int argc, char **argv)
{
	struct err err = { .message = "out of memory" };
	sigset_t signals;
	int r;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: rpc-test-server SOCKET [FOLDER]\n");
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (rpc_global_init(&err)) {
		log_error("%s", err.message);
		return 1;
	}
	r = serve(argv[1], argv[2], &signals, &err);
	if (r)
		log_error("%s", err.message);
	rpc_global_done();
	return r ? 1 : 0;
}
