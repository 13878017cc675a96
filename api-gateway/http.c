/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <civetweb.h>

#include "common/log.h"

#include "client_socket.h"
#include "edge_check.h"

#define BODY_SECONDS_MAX   30
#define DRAIN_BYTES_MAX	   (4 * 1024 * 1024)
#define POLL_INTERVAL_NSEC 20000000

struct http_server {
	struct mg_context *civetweb;
	http_handler handler;
	void *user;
	unsigned threads;
	unsigned port;
	atomic_uint connections;
	atomic_uint running; /* calls of the handler */
	atomic_bool stopping;
	char last_message[256]; /* civetweb's, while it starts */
};

struct exchange {
	struct http_server *server;	  /* borrowed */
	struct mg_connection *connection; /* borrowed */
	struct request request;
	struct err err;
	struct timespec start;
	bool has_body; /* and nobody has read it */
	bool close;
	bool responded;
	bool broken;
	int socket; /* of a stream; borrowed from civetweb */
};

static bool says(const char *header, const char *option)
{
	return header && strcasestr(header, option);
}

/* civetweb keeps a connection by the same rules: what we announce must be what it does. */
static bool client_wants_close(const struct request *request)
{
	const char *connection = request_header(request, "Connection");

	if (request_header(request, "Upgrade"))
		return true;
	if (connection)
		return !says(connection, "keep-alive");
	return strcmp(request->version, "1.1") != 0;
}

static bool is_crowded(struct http_server *server)
{
	return atomic_load(&server->connections) > server->threads / 4 * 3;
}

static void exchange_init(struct exchange *exchange, struct mg_connection *connection)
{
	const struct mg_request_info *info = mg_get_request_info(connection);
	struct request *request = &exchange->request;
	const char *length;

	exchange->server = info->user_data;
	exchange->connection = connection;
	exchange->socket = -1;
	clock_gettime(CLOCK_MONOTONIC, &exchange->start);
	request->method = info->request_method;
	request->target = info->request_uri;
	request->query = info->query_string;
	request->version = info->http_version;
	request->header_count = (size_t)info->num_headers;
	for (int i = 0; i < info->num_headers; i++)
		request->headers[i] = (struct request_header){ info->http_headers[i].name,
							       info->http_headers[i].value };
	length = request_header(request, "Content-Length");
	exchange->has_body = request_header(request, "Transfer-Encoding") ||
			     (length && strspn(length, "0") < strlen(length));
	exchange->close = client_wants_close(request) || is_crowded(exchange->server);
}

const struct request *exchange_request(const struct exchange *exchange)
{
	return &exchange->request;
}

struct err *exchange_err(struct exchange *exchange)
{
	return &exchange->err;
}

static long elapsed_ms(const struct exchange *exchange)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - exchange->start.tv_sec) * 1000 +
	       (now.tv_nsec - exchange->start.tv_nsec) / 1000000;
}

/* A client that sends "Expect: 100-continue" (curl, for large bodies) waits for this. */
static void invite_body(struct exchange *exchange)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *expect = request_header(&exchange->request, "Expect");

	if (expect && strcasecmp(expect, "100-continue") == 0)
		mg_write(exchange->connection, go_on, sizeof(go_on) - 1);
}

static int fail_too_large(struct exchange *exchange, struct err *err)
{
	exchange->has_body = true; /* the rest of it */
	return err_set(err, ERR_MESSAGE_TOO_LARGE, "the body is larger than %d bytes",
		       HTTP_BODY_BYTES_MAX);
}

static int read_pieces(struct exchange *exchange, char *piece, size_t size, struct text *ret,
		       struct err *err)
{
	const char *length = request_header(&exchange->request, "Content-Length");
	size_t expected = length ? (size_t)strtoull(length, NULL, 10) : SIZE_MAX;

	if (length && expected > HTTP_BODY_BYTES_MAX)
		return fail_too_large(exchange, err);
	invite_body(exchange);
	while (ret->length < expected) {
		int got = mg_read(exchange->connection, piece, size);

		if (got == 0 && !length)
			break;
		if (got <= 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "the body ended early or was badly framed after %zu bytes",
				       ret->length);
		text_append(ret, piece, (size_t)got);
		if (ret->length > HTTP_BODY_BYTES_MAX)
			return fail_too_large(exchange, err);
		if (elapsed_ms(exchange) > BODY_SECONDS_MAX * 1000)
			return err_set(err, ERR_INVALID_ARGUMENT, "the body took longer than %d s",
				       BODY_SECONDS_MAX);
	}
	return ret->incomplete ? err_sys(err, ENOMEM, "cannot read the body") : 0;
}

int exchange_read_body(struct exchange *exchange, struct text *ret, struct err *err)
{
	scoped_free char *piece = NULL;
	size_t size = 65536;

	if (!exchange->has_body)
		return 0;
	exchange->has_body = false;
	piece = malloc(size);
	if (!piece)
		return err_sys(err, ENOMEM, "cannot read the body");
	/* Whatever comes after a chunked body is not worth trusting civetweb's parser. */
	if (request_header(&exchange->request, "Transfer-Encoding"))
		exchange->close = true;
	if (read_pieces(exchange, piece, size, ret, err)) {
		exchange->close = true;
		return -1;
	}
	return 0;
}

static void log_answer(const struct exchange *exchange, int status)
{
	const struct request *request = &exchange->request;
	bool is_read = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;

	if (status >= 500)
		log_warning("api-gateway: %s %.200s: %d (ms=%ld)", request->method, request->target,
			    status, elapsed_ms(exchange));
	else if (status < 400 && !is_read)
		log_info("api-gateway: %s %.200s: %d (ms=%ld)", request->method, request->target,
			 status, elapsed_ms(exchange));
	else
		log_debug("api-gateway: %s %.200s: %d (ms=%ld)", request->method, request->target,
			  status, elapsed_ms(exchange));
}

static void write_response(struct mg_connection *connection, const struct response *response,
			   bool is_head, bool close)
{
	scoped_text struct text out = { 0 };

	response_write_head(response, close, &out);
	if (!is_head && response->body.length > 0)
		text_append(&out, response->body.bytes, response->body.length);
	if (response->body.incomplete || out.incomplete) {
		log_error("api-gateway: out of memory for an answer, closing the connection");
		close = true;
	} else {
		mg_write(connection, out.bytes, out.length); /* one write: three times faster */
	}
	if (close)
		mg_disable_connection_keep_alive(connection);
}

/* Closing with unread input makes the kernel reset the connection, and the answer is lost. */
static void drain_body(struct exchange *exchange)
{
	scoped_free char *piece = malloc(65536);
	size_t drained = 0;

	while (piece && drained < DRAIN_BYTES_MAX &&
	       elapsed_ms(exchange) < BODY_SECONDS_MAX * 1000) {
		int got = mg_read(exchange->connection, piece, 65536);

		if (got <= 0)
			break;
		drained += (size_t)got;
	}
}

void exchange_respond(struct exchange *exchange, const struct response *response)
{
	bool is_head = strcmp(exchange->request.method, "HEAD") == 0;
	bool expects = request_header(&exchange->request, "Expect") != NULL;

	exchange->responded = true;
	if (exchange->has_body)
		exchange->close = true;
	write_response(exchange->connection, response, is_head, exchange->close);
	log_answer(exchange, response->status);
	if (exchange->has_body && !expects)
		drain_body(exchange);
}

void exchange_refuse(struct exchange *exchange, const struct err *err)
{
	struct response response = { 0 };

	response_set_problem(&response, err);
	exchange_respond(exchange, &response);
	response_done(&response);
}

int exchange_stream_begin(struct exchange *exchange)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Content-Type: text/event-stream\r\n"
				   "Cache-Control: no-cache\r\n"
				   "X-Accel-Buffering: no\r\n"
				   "X-Content-Type-Options: nosniff\r\n"
				   "Connection: close\r\n\r\n";
	const struct mg_request_info *info = mg_get_request_info(exchange->connection);

	exchange->responded = true;
	mg_disable_connection_keep_alive(exchange->connection);
	exchange->socket = client_socket_find(info->remote_addr, (uint16_t)info->remote_port,
					      (uint16_t)info->server_port);
	log_answer(exchange, 200);
	if (mg_write(exchange->connection, head, sizeof(head) - 1) <= 0)
		exchange->broken = true;
	return exchange->broken ? -1 : 0;
}

int exchange_stream_write(struct exchange *exchange, const struct text *bytes)
{
	if (exchange->broken)
		return -1;
	if (bytes->incomplete ||
	    mg_write(exchange->connection, bytes->bytes, bytes->length) < (int)bytes->length)
		exchange->broken = true;
	return exchange->broken ? -1 : 0;
}

bool exchange_is_over(const struct exchange *exchange)
{
	return exchange->broken || atomic_load(&exchange->server->stopping) ||
	       client_socket_is_closed(exchange->socket);
}

static void run(struct exchange *exchange)
{
	struct err *err = &exchange->err;
	const struct request *request = &exchange->request;

	if (edge_check_layout(request, err) || edge_check_framing(request, err)) {
		exchange->close = true;
		exchange->has_body = false; /* its end is not known: not drained either */
		exchange_refuse(exchange, err);
		return;
	}
	if (edge_check_caller(request, err)) {
		exchange_refuse(exchange, err);
		return;
	}
	if (atomic_load(&exchange->server->stopping)) {
		err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
		exchange->close = true;
		exchange_refuse(exchange, err);
		return;
	}
	exchange->server->handler(exchange, exchange->server->user);
	if (!exchange->responded) {
		err_set(err, ERR_INTERNAL, "the request was not answered");
		exchange_refuse(exchange, err);
	}
}

static int begin_request(struct mg_connection *connection)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange) {
		log_error("api-gateway: out of memory for a request, closing the connection");
		mg_disable_connection_keep_alive(connection);
		return 503;
	}
	atomic_fetch_add(&server->running, 1);
	exchange_init(exchange, connection);
	run(exchange);
	free(exchange);
	atomic_fetch_sub(&server->running, 1);
	return 200; /* handled; nobody reads civetweb's access log */
}

/* What civetweb itself refuses: there is no parsed request then. */
static int http_error(struct mg_connection *connection, int status, const char *message)
{
	struct err *err = calloc(1, sizeof(*err));
	struct response response = { 0 };

	(void)message;
	if (!err)
		return 0;
	if (status == 505)
		err_set(err, ERR_INVALID_ARGUMENT, "the HTTP version must be 1.0 or 1.1");
	else
		err_set(err, ERR_INVALID_ARGUMENT,
			"the request is not well-formed HTTP/1.1, came too slowly, or its head is "
			"larger than %d bytes",
			REQUEST_HEAD_BYTES_MAX);
	response_set_problem(&response, err);
	write_response(connection, &response, false, true);
	response_done(&response);
	free(err);
	return 0;
}

static int init_connection(const struct mg_connection *connection, void **data)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));

	(void)data;
	atomic_fetch_add(&server->connections, 1);
	return 0;
}

static void connection_closed(const struct mg_connection *connection)
{
	struct http_server *server = mg_get_user_data(mg_get_context(connection));

	atomic_fetch_sub(&server->connections, 1);
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
	server->threads = options->threads;
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
