/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: civetweb with the settings, limits and checks that make it safe to
 * stand on. One thread per connection; each request becomes one call of the handler.
 */

#ifndef API_GATEWAY_HTTP_H
#define API_GATEWAY_HTTP_H

#include "common/err.h"
#include "common/scoped.h"

#include "exchange.h"

struct http_server;

/* Must call exchange_respond() or exchange_stream_begin(), once. Runs in many threads. */
typedef void (*http_handler)(struct exchange *exchange, void *user);

struct http_options {
	const char *address; /* "127.0.0.1" */
	unsigned port;	     /* 0: any free one */
	unsigned threads;    /* connections at once, idle ones too */
	bool has_auth;	     /* the handler asks callers who they are */
	http_handler handler;
	void *user;
	struct traffic *traffic; /* outlives the server */
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

#endif
