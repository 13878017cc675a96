/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>

#include <civetweb.h>

#include "common/log.h"

#include "client_socket.h"
#include "traffic.h"

#define BODY_SECONDS_MAX 30
/* A chunk of one byte, with as long a size as civetweb takes. */
#define CHUNK_BYTES_PER_BYTE 32
#define DRAIN_BYTES_MAX	     (4 * 1024 * 1024)

struct exchange {
	struct mg_connection *connection; /* borrowed */
	const atomic_bool *stopping;	  /* borrowed */
	struct traffic *traffic;	  /* borrowed */
	const struct route *route;	  /* borrowed; NULL: not found yet */
	struct request request;
	struct err err;
	struct timespec start;
	bool has_body; /* and nobody has read it */
	bool close;
	bool responded;
	bool broken;
	int socket; /* once watched; borrowed from civetweb */
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

static void read_request(struct request *request, const struct mg_request_info *info)
{
	request->method = info->request_method;
	request->target = info->request_uri;
	request->query = info->query_string;
	request->version = info->http_version;
	request->header_count = (size_t)info->num_headers;
	for (int i = 0; i < info->num_headers; i++)
		request->headers[i] = (struct request_header){ info->http_headers[i].name,
							       info->http_headers[i].value };
}

struct exchange *exchange_new(struct mg_connection *connection, const atomic_bool *stopping,
			      struct traffic *traffic, bool close)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	struct request *request;
	const char *length;

	if (!exchange)
		return NULL;
	exchange->connection = connection;
	exchange->stopping = stopping;
	exchange->traffic = traffic;
	exchange->socket = -1;
	clock_gettime(CLOCK_MONOTONIC, &exchange->start);
	request = &exchange->request;
	read_request(request, mg_get_request_info(connection));
	length = request_header(request, "Content-Length");
	exchange->has_body = request_header(request, "Transfer-Encoding") ||
			     (length && strspn(length, "0") < strlen(length));
	exchange->close = client_wants_close(request) || close;
	return exchange;
}

void exchange_free(struct exchange *exchange)
{
	free(exchange);
}

bool exchange_was_answered(const struct exchange *exchange)
{
	return exchange->responded;
}

void exchange_set_route(struct exchange *exchange, const struct route *route)
{
	exchange->route = route;
}

const struct request *exchange_request(const struct exchange *exchange)
{
	return &exchange->request;
}

struct err *exchange_err(struct exchange *exchange)
{
	return &exchange->err;
}

static uint64_t elapsed_us(const struct exchange *exchange)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)((now.tv_sec - exchange->start.tv_sec) * 1000000 +
			  (now.tv_nsec - exchange->start.tv_nsec) / 1000);
}

static long elapsed_ms(const struct exchange *exchange)
{
	return (long)(elapsed_us(exchange) / 1000);
}

/* Found once for each connection, since it takes a look at every open file. */
void exchange_watch(struct exchange *exchange)
{
	const struct mg_request_info *info = mg_get_request_info(exchange->connection);
	intptr_t known = (intptr_t)mg_get_user_connection_data(exchange->connection); /* plus 1 */

	if (known == 0) {
		known = client_socket_find(info->remote_addr, (uint16_t)info->remote_port,
					   (uint16_t)info->server_port) +
			1;
		mg_set_user_connection_data(exchange->connection, (void *)known);
	}
	exchange->socket = (int)known - 1;
}

/*
 * mg_read() waits until it has all that it is asked for, however slowly that comes: so it is
 * asked for what is there, or for one byte.
 */
static int read_some(struct exchange *exchange, char *piece, size_t size)
{
	bool is_chunked = request_header(&exchange->request, "Transfer-Encoding");
	int arrived;

	if (ioctl(exchange->socket, FIONREAD, &arrived))
		arrived = 0;
	if (is_chunked)
		arrived /= CHUNK_BYTES_PER_BYTE;
	if (arrived < 1)
		arrived = 1;
	return mg_read(exchange->connection, piece,
		       (size_t)arrived < size ? (size_t)arrived : size);
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
	exchange_watch(exchange);
	invite_body(exchange);
	while (ret->length < expected) {
		int got = read_some(exchange, piece, size);

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

static void note_answer(const struct exchange *exchange, int status)
{
	const struct request *request = &exchange->request;
	bool is_read = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;

	traffic_count(exchange->traffic, exchange->route, request->method, status,
		      elapsed_us(exchange));

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

	exchange_watch(exchange);
	while (piece && drained < DRAIN_BYTES_MAX &&
	       elapsed_ms(exchange) < BODY_SECONDS_MAX * 1000) {
		int got = read_some(exchange, piece, 65536);

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
	note_answer(exchange, response->status);
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

void exchange_refuse_frame(struct exchange *exchange, const struct err *err)
{
	exchange->close = true;
	exchange->has_body = false;
	exchange_refuse(exchange, err);
}

void exchange_write_problem(struct mg_connection *connection, const struct err *err)
{
	struct response response = { 0 };

	response_set_problem(&response, err);
	write_response(connection, &response, false, true);
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

	exchange->responded = true;
	mg_disable_connection_keep_alive(exchange->connection);
	exchange_watch(exchange);
	note_answer(exchange, 200);
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

int exchange_upgrade(struct exchange *exchange, const char *accept, struct err *err)
{
	scoped_text struct text head = { 0 };

	exchange_watch(exchange);
	text_append_format(&head,
			   "HTTP/1.1 101 Switching Protocols\r\n"
			   "Upgrade: websocket\r\n"
			   "Connection: Upgrade\r\n"
			   "Sec-WebSocket-Accept: %s\r\n\r\n",
			   accept);
	if (exchange->socket < 0 || head.incomplete)
		return err_set(err, ERR_INTERNAL, "cannot upgrade the connection");
	exchange->responded = true;
	mg_disable_connection_keep_alive(exchange->connection);
	note_answer(exchange, 101);
	if (mg_write(exchange->connection, head.bytes, head.length) <= 0)
		exchange->broken = true;
	return exchange->socket;
}

const atomic_bool *exchange_stopping(const struct exchange *exchange)
{
	return exchange->stopping;
}

bool exchange_is_stopping(const struct exchange *exchange)
{
	return atomic_load(exchange->stopping);
}

bool exchange_is_over(const struct exchange *exchange)
{
	return exchange->broken || exchange_is_stopping(exchange) ||
	       client_socket_is_closed(exchange->socket);
}
