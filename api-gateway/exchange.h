/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer. Belongs to the HTTP server, and to the one thread that
 * handles it.
 */

#ifndef API_GATEWAY_EXCHANGE_H
#define API_GATEWAY_EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/err.h"

#include "request.h"
#include "response.h"
#include "text.h"

#define HTTP_BODY_BYTES_MAX (1024 * 1024)

struct exchange;
struct mg_connection;
struct route;
struct traffic;

/* ---- For the server ---- */

/*
 * `stopping` and `traffic`, where its answer is counted, outlive it; `close`: no further
 * request on this connection. NULL: no memory.
 */
struct exchange *exchange_new(struct mg_connection *connection, const atomic_bool *stopping,
			      struct traffic *traffic, bool close);
void exchange_free(struct exchange *exchange);
bool exchange_was_answered(const struct exchange *exchange);

/* As exchange_refuse() for a request whose end is not known: nothing behind it is read. */
void exchange_refuse_frame(struct exchange *exchange, const struct err *err);

/* An answer without an exchange: for what the parser refused. */
void exchange_write_problem(struct mg_connection *connection, const struct err *err);

/* ---- For the handler ---- */

const struct request *exchange_request(const struct exchange *exchange);

/* By which route it is counted; none, until this is called. */
void exchange_set_route(struct exchange *exchange, const struct route *route);

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

/*
 * Answers 101 with this Sec-WebSocket-Accept; the connection ends with the handler. The
 * socket, which stays civetweb's, or -1 with *err: then the exchange is still to be answered.
 */
int exchange_upgrade(struct exchange *exchange, const char *accept, struct err *err);

/* From now on exchange_is_over() notices that the client goes. */
void exchange_watch(struct exchange *exchange);

/* The client has gone, or the server stops. */
bool exchange_is_over(const struct exchange *exchange);
bool exchange_is_stopping(const struct exchange *exchange);
const atomic_bool *exchange_stopping(const struct exchange *exchange);

#endif
