/* SPDX-License-Identifier: Apache-2.0 */
#include "sse.h"

#include <errno.h>
#include <stdbool.h>

#include "event_stream.h"
#include "json_write.h"
#include "proto_message.h"

#define LOOK_INTERVAL_MS 500  /* how soon a client that went away is noticed */
#define SILENCE_MS	 1000 /* without a first message, before the stream is begun */

struct sse {
	struct event_stream out;
	const struct services *services;
	const struct route *route;
	struct rpc_stream *stream; /* owned */
	bool follows;
};

/* 0, or -1 when the client has gone or the message cannot be written (then *err is set). */
static int write_message(struct sse *sse, const ProtobufCMessage *message, struct err *err)
{
	scoped_text struct text event = { 0 };

	text_append_string(&event, "data: ");
	if (json_write_field(&event, sse->route->answer, message, err))
		return -1;
	text_append_string(&event, "\n\n");
	return event_stream_write(&sse->out, &event);
}

/*
 * A stream that follows may be silent for hours, so it is begun after a second without a
 * message (the service has proved to be alive). One that does not must bring something
 * or end, within its deadline, before we say 200.
 */
static int wait_in_silence(struct sse *sse, struct err *err)
{
	if (!sse->out.begun)
		return sse->follows ? event_stream_begin(&sse->out) : 0;
	if (event_stream_must_look(&sse->out) &&
	    services_check(sse->services, sse->route->service_id, err))
		return -1;
	return event_stream_heartbeat(&sse->out);
}

/* True when the stream ended by itself; false when we end it, for *err if that is set. */
static bool pump(struct sse *sse, struct err *err)
{
	while (!exchange_is_over(sse->out.exchange)) {
		scoped(proto_message_free) ProtobufCMessage *message = NULL;
		int wait_ms = sse->out.begun ? LOOK_INTERVAL_MS : SILENCE_MS;
		int r = rpc_stream_receive_timeout(sse->stream, wait_ms, &message);

		if (r == 0)
			return true;
		if (r == -ETIMEDOUT ? wait_in_silence(sse, err) : write_message(sse, message, err))
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

	if (sse->follows && services_check(sse->services, id, err))
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

void sse_run(struct exchange *exchange, const struct services *services, const struct route *route,
	     const ProtobufCMessage *request)
{
	struct err *err = exchange_err(exchange);
	struct sse sse = { .out = { .exchange = exchange }, .services = services, .route = route };

	sse.follows = is_following(route, request);
	if (open_stream(&sse, request, err)) {
		event_stream_report(&sse.out, err);
		return;
	}
	err->reason = ERR_NONE;
	if (pump(&sse, err)) {
		if (rpc_stream_finish(sse.stream, err) == 0) {
			event_stream_begin(&sse.out);
		} else {
			services_explain(services, route, err);
			event_stream_report(&sse.out, err);
		}
		return;
	}
	if (err->reason == ERR_NONE)
		err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
	event_stream_report(&sse.out, err);
	rpc_stream_finish(sse.stream, err);
}
