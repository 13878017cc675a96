/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <civetweb.h>

#include "common/log.h"

#include "edge_check.h"
#include "traffic.h"

#define POLL_INTERVAL_NSEC 20000000

struct http_server {
	struct mg_context *civetweb;
	http_handler handler;
	void *user;
	unsigned threads;
	bool has_auth;
	unsigned port;
	struct traffic *traffic;
	atomic_uint running; /* calls of the handler */
	atomic_bool stopping;
	char last_message[256]; /* civetweb's, while it starts */
};

/* Idle connections must not take every thread. */
static bool must_close(struct http_server *server)
{
	return atomic_load(&server->traffic->connections) > server->threads / 4 * 3 ||
	       atomic_load(&server->stopping);
}

static void run(struct http_server *server, struct exchange *exchange)
{
	struct err *err = exchange_err(exchange);
	const struct request *request = exchange_request(exchange);

	if (edge_check_layout(request, err) || edge_check_framing(request, err)) {
		exchange_refuse_frame(exchange, err);
		return;
	}
	if (edge_check_caller(request, server->has_auth, err)) {
		exchange_refuse(exchange, err);
		return;
	}
	if (atomic_load(&server->stopping)) {
		err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
		exchange_refuse(exchange, err);
		return;
	}
	server->handler(exchange, server->user);
	if (!exchange_was_answered(exchange)) {
		err_set(err, ERR_INTERNAL, "the request was not answered");
		exchange_refuse(exchange, err);
	}
}

static int begin_request(struct mg_connection *connection)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));
	struct exchange *exchange =
		exchange_new(connection, &server->stopping, server->traffic, must_close(server));

	if (!exchange) {
		log_error("api-gateway: out of memory for a request, closing the connection");
		mg_disable_connection_keep_alive(connection);
		return 503;
	}
	atomic_fetch_add(&server->running, 1);
	run(server, exchange);
	exchange_free(exchange);
	atomic_fetch_sub(&server->running, 1);
	return 200; /* handled; nobody reads civetweb's access log */
}

/* What civetweb itself refuses: there is no parsed request then. */
static int http_error(struct mg_connection *connection, int status, const char *message)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));
	struct err *err = calloc(1, sizeof(*err));

	(void)message;
	atomic_fetch_add(&server->traffic->malformed, 1);
	if (!err)
		return 0;
	if (status == 505)
		err_set(err, ERR_INVALID_ARGUMENT, "the HTTP version must be 1.0 or 1.1");
	else
		err_set(err, ERR_INVALID_ARGUMENT,
			"the request is not well-formed HTTP/1.1, came too slowly, or its head is "
			"larger than %d bytes",
			REQUEST_HEAD_BYTES_MAX);
	exchange_write_problem(connection, err);
	free(err);
	return 0;
}

static int init_connection(const struct mg_connection *connection, void **data)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));

	(void)data;
	atomic_fetch_add(&server->traffic->connections, 1);
	return 0;
}

static void connection_closed(const struct mg_connection *connection)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));

	atomic_fetch_sub(&server->traffic->connections, 1);
}

static int log_message(const struct mg_connection *connection, const char *message)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));

	if (server && !server->civetweb)
		snprintf(server->last_message, sizeof(server->last_message), "%s", message);
	log_debug("api-gateway: civetweb: %s", message);
	return 1;
}

static const struct mg_callbacks callbacks = {
	.begin_request = begin_request,
	.http_error = http_error,
	.init_connection = init_connection,
	.connection_closed = connection_closed,
	.log_message = log_message,
};

static int start(struct http_server *server, const struct http_options *options, struct err *err)
{
	char listen[64], threads[16], head_bytes[16];
	const char *settings[] = {
		"listening_ports",
		listen,
		"num_threads",
		threads,
		"connection_queue",
		"256",
		"listen_backlog",
		"1024",
		"max_request_size",
		head_bytes,
		"request_timeout_ms",
		"10000",
		"keep_alive_timeout_ms",
		"15000",
		"enable_keep_alive",
		"yes",
		"tcp_nodelay",
		"1",
		"decode_url",
		"no", /* else %2F becomes a separator */
		"enable_auth_domain_check",
		"no",
		"enable_directory_listing",
		"no",
		"access_control_allow_origin",
		"",
		"access_control_allow_methods",
		"",
		"access_control_allow_headers",
		"",
		NULL,
	};
	struct mg_init_data init = { &callbacks, server, settings };
	struct mg_error_data error = { NULL, server->last_message, sizeof(server->last_message) };

	snprintf(listen, sizeof(listen), "%s:%u", options->address, options->port);
	snprintf(threads, sizeof(threads), "%u", options->threads);
	snprintf(head_bytes, sizeof(head_bytes), "%d", REQUEST_HEAD_BYTES_MAX);
	server->civetweb = mg_start2(&init, &error);
	if (!server->civetweb)
		return err_set(err, ERR_UNAVAILABLE, "cannot listen on %s with %u threads: %s",
			       listen, options->threads, server->last_message);
	return 0;
}

struct http_server *http_server_start(const struct http_options *options, struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	struct mg_server_port port;

	if (!server) {
		err_sys(err, ENOMEM, "cannot start the HTTP server");
		return NULL;
	}
	server->handler = options->handler;
	server->user = options->user;
	server->traffic = options->traffic;
	server->threads = options->threads;
	server->has_auth = options->has_auth;
	mg_init_library(MG_FEATURES_DEFAULT);
	if (start(server, options, err)) {
		free(server);
		return NULL;
	}
	if (mg_get_server_ports(server->civetweb, 1, &port) == 1)
		server->port = (unsigned)port.port;
	return server;
}

unsigned http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_stop(struct http_server *server)
{
	const struct timespec pause = { .tv_nsec = POLL_INTERVAL_NSEC };

	if (!server)
		return;
	/* Once mg_stop() runs, civetweb writes nothing more: answers go out before. */
	atomic_store(&server->stopping, true);
	while (atomic_load(&server->running) > 0)
		nanosleep(&pause, NULL);
	mg_stop(server->civetweb);
	mg_exit_library();
	free(server);
}
