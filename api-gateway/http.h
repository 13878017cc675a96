/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: civetweb with the settings, limits and checks that make it safe to
 * stand on. One thread per connection; each request becomes one call of the handler.
 */

#ifndef API_GATEWAY_HTTP_H
#define API_GATEWAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/scoped.h"

#include "request.h"
#include "response.h"
#include "text.h"

#define HTTP_BODY_BYTES_MAX (1024 * 1024)

struct http_server;

/* One request and its answer; belongs to the server. */
struct exchange;

/* Must call exchange_respond() or exchange_stream_begin(), once. Runs in many threads. */
typedef void (*http_handler)(struct exchange *exchange, void *user);

struct http_options {
	const char *address; /* "127.0.0.1" */
	unsigned port;	     /* 0: any free one */
	unsigned threads;    /* connections at once, idle ones too */
	http_handler handler;
	void *user;
};

/* The caller has blocked the signals it waits for. NULL with *err. */
struct http_server *http_server_start(const struct http_options *options, struct err *err);

/* The port that was chosen. */
unsigned http_server_port(const struct http_server *server);

/*
 * Refuses new requests, ends streams, lets running requests finish (the handler bounds
 * their time), then joins all threads. NULL is fine.
 */
void http_server_stop(struct http_server *server);
SCOPED_DEFINE(struct http_server *, http_server_stop);

const struct request *exchange_request(const struct exchange *exchange);

/* Scratch for errors: too large for the stacks of these threads. */
struct err *exchange_err(struct exchange *exchange);

/*
 * The whole body; empty when there is none. MESSAGE_TOO_LARGE beyond
 * HTTP_BODY_BYTES_MAX, INVALID_ARGUMENT when it ends early or is badly chunked.
 */
int exchange_read_body(struct exchange *exchange, struct text *ret, struct err *err);

/* Writes the answer (to HEAD without the body). */
void exchange_respond(struct exchange *exchange, const struct response *response);

/* As exchange_respond(), with the problem that *err is. */
void exchange_refuse(struct exchange *exchange, const struct err *err);

/* Starts an answer of server-sent events; the connection ends with it. 0, or -1: client gone. */
int exchange_stream_begin(struct exchange *exchange);
int exchange_stream_write(struct exchange *exchange, const struct text *bytes);

/* The client has gone, or the server stops. */
bool exchange_is_over(const struct exchange *exchange);

#endif
