/* SPDX-License-Identifier: Apache-2.0 */
#include "sse.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "json_write.h"
#include "proto_message.h"

#define LOOK_INTERVAL_MS  500 /* how soon a client that went away is noticed */
#define HEARTBEAT_SECONDS 15
#define SILENCE_MS	  1000 /* without a first message, before the stream is begun */
#define HEALTH_TIMEOUT_MS 5000

struct sse {
	struct exchange *exchange;
	const struct services *services;
	const struct route *route;
	struct rpc_stream *stream; /* owned */
	bool follows;
	bool begun;
	time_t last_write;
};

static time_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int begin(struct sse *sse)
{
	if (sse->begun)
		return 0;
	sse->begun = true;
	sse->last_write = now_seconds();
	return exchange_stream_begin(sse->exchange);
}

static int write_text(struct sse *sse, const struct text *text)
{
	sse->last_write = now_seconds();
	return exchange_stream_write(sse->exchange, text);
}

/* 0, or -1 when the client has gone or the message cannot be written (then *err is set). */
static int write_message(struct sse *sse, const ProtobufCMessage *message, struct err *err)
{
	scoped_text struct text event = { 0 };

	text_append_string(&event, "data: ");
	if (json_write_field(&event, sse->route->answer, message, err))
		return -1;
	text_append_string(&event, "\n\n");
	return begin(sse) || write_text(sse, &event) ? -1 : 0;
}

static int write_heartbeat(struct sse *sse)
{
	scoped_text struct text comment = { 0 };

	if (now_seconds() - sse->last_write < HEARTBEAT_SECONDS)
		return 0;
	text_append_string(&comment, ":\n\n");
	return write_text(sse, &comment);
}

static void write_error(struct sse *sse, const struct err *err)
{
	scoped_text struct text event = { 0 };
	struct response problem = { 0 };

	response_set_problem(&problem, err);
	text_append_string(&event, "event: error\ndata: ");
	if (problem.body.length > 0)
		text_append(&event, problem.body.bytes, problem.body.length);
	text_append_string(&event, "\n\n");
	write_text(sse, &event);
	response_done(&problem);
}

/*
 * A stream that follows may be silent for hours, so it is begun after a second without a
 * message (the service has proved to be alive). One that does not must bring something
 * or end, within its deadline, before we say 200.
 */
static int wait_in_silence(struct sse *sse)
{
	if (sse->begun)
		return write_heartbeat(sse);
	return sse->follows ? begin(sse) : 0;
}

/* True when the stream ended by itself; false when we end it, for *err if that is set. */
static bool pump(struct sse *sse, struct err *err)
{
	while (!exchange_is_over(sse->exchange)) {
		scoped(proto_message_free) ProtobufCMessage *message = NULL;
		int wait_ms = sse->begun ? LOOK_INTERVAL_MS : SILENCE_MS;
		int r = rpc_stream_receive_timeout(sse->stream, wait_ms, &message);

		if (r == 0)
			return true;
		if (r == -ETIMEDOUT ? wait_in_silence(sse) : write_message(sse, message, err))
			return false;
	}
	return false;
}

static int open_stream(struct sse *sse, const ProtobufCMessage *request, struct err *err)
{
	enum service_id id = sse->route->service_id;
	const struct rpc_call_options options = {
		.timeout_ms = sse->follows ? -1 : sse->services->timeout_ms,
	};

	if (sse->follows && services_check(sse->services, id, HEALTH_TIMEOUT_MS, err))
		return -1;
	sse->stream = rpc_stream_open(sse->services->of[id].channel, sse->route->service,
				      sse->route->rpc_index, &options, err);
	if (!sse->stream)
		return services_explain(sse->services, sse->route, err);
	/* If sending fails the stream has ended, and finishing it says why. */
	if (rpc_stream_send(sse->stream, request) == 0)
		rpc_stream_close_send(sse->stream);
	return 0;
}

static bool is_following(const struct route *route, const ProtobufCMessage *request)
{
	return route->follow && *(protobuf_c_boolean *)proto_member(request, route->follow);
}

static void report(struct sse *sse, const struct err *err)
{
	if (sse->begun)
		write_error(sse, err);
	else
		exchange_refuse(sse->exchange, err);
}

void sse_run(struct exchange *exchange, const struct services *services, const struct route *route,
	     const ProtobufCMessage *request)
{
	struct err *err = exchange_err(exchange);
	struct sse sse = { .exchange = exchange, .services = services, .route = route };

	sse.follows = is_following(route, request);
	if (open_stream(&sse, request, err)) {
		report(&sse, err);
		return;
	}
	err->reason = ERR_NONE;
	if (pump(&sse, err)) {
		if (rpc_stream_finish(sse.stream, err) == 0) {
			begin(&sse);
		} else {
			services_explain(services, route, err);
			report(&sse, err);
		}
		return;
	}
	if (err->reason == ERR_NONE)
		err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
	report(&sse, err);
	rpc_stream_finish(sse.stream, err);
}
