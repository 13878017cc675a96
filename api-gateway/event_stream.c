/* SPDX-License-Identifier: Apache-2.0 */
#include "event_stream.h"

#include "response.h"

#define HEARTBEAT_SECONDS 15
#define LOOK_SECONDS	  5

static time_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int event_stream_begin(struct event_stream *stream)
{
	if (stream->begun)
		return 0;
	stream->begun = true;
	stream->last_write = stream->last_look = now_seconds();
	return exchange_stream_begin(stream->exchange);
}

int event_stream_write(struct event_stream *stream, const struct text *text)
{
	if (event_stream_begin(stream))
		return -1;
	stream->last_write = now_seconds();
	return exchange_stream_write(stream->exchange, text);
}

int event_stream_heartbeat(struct event_stream *stream)
{
	scoped_text struct text comment = { 0 };

	if (now_seconds() - stream->last_write < HEARTBEAT_SECONDS)
		return 0;
	text_append_string(&comment, ":\n\n");
	return event_stream_write(stream, &comment);
}

bool event_stream_must_look(struct event_stream *stream)
{
	if (now_seconds() - stream->last_look < LOOK_SECONDS)
		return false;
	stream->last_look = now_seconds();
	return true;
}

static void write_error(struct event_stream *stream, const struct err *err)
{
	scoped_text struct text event = { 0 };
	struct response problem = { 0 };

	response_set_problem(&problem, err);
	text_append_string(&event, "event: error\ndata: ");
	if (problem.body.length > 0)
		text_append(&event, problem.body.bytes, problem.body.length);
	text_append_string(&event, "\n\n");
	event_stream_write(stream, &event);
	response_done(&problem);
}

void event_stream_report(struct event_stream *stream, const struct err *err)
{
	if (stream->begun)
		write_error(stream, err);
	else
		exchange_refuse(stream->exchange, err);
}
