/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The echo service as a program, for clients in other languages:
 *   rpc-test-server SOCKET
 * Prints "ready" once it serves; SIGTERM ends it. SIGUSR1 turns the health of EchoService
 * over.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#include "echo_service.h"

static int serve(const char *path, const sigset_t *signals, struct err *err)
{
	struct rpc_peer peer = { .name = "tester", .uid = getuid(), .roles = ECHO_ROLE };
	struct rpc_server *server = rpc_server_new(NULL);
	struct echo echo = { .self = rpc_channel_new(path, getuid()) };
	bool serving = true;
	int signal = 0;
	int r = -1;

	if (server && echo.self && echo_add(server, &echo, err) == 0 &&
	    rpc_server_add_peer(server, &peer, err) == 0 &&
	    rpc_server_listen_unix(server, path, 0600, err) == 0)
		r = rpc_server_start(server, err);
	if (r == 0) {
		puts("ready");
		fflush(stdout);
	}
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

	if (argc != 2) {
		fprintf(stderr, "usage: rpc-test-server SOCKET\n");
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
	r = serve(argv[1], &signals, &err);
	if (r)
		log_error("%s", err.message);
	rpc_global_done();
	return r ? 1 : 0;
}
