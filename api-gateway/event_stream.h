/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of an answer of server-sent events: its beginning, its silence, its failure. */

#ifndef API_GATEWAY_EVENT_STREAM_H
#define API_GATEWAY_EVENT_STREAM_H

#include <stdbool.h>
#include <time.h>

#include "common/err.h"

#include "exchange.h"
#include "text.h"

struct event_stream {
	struct exchange *exchange; /* borrowed */
	bool begun;
	time_t last_write;
	time_t last_look;
};

/* Once; later calls do nothing. 0, or -1: client gone, as of those that follow. */
int event_stream_begin(struct event_stream *stream);

/* Begins if need be. */
int event_stream_write(struct event_stream *stream, const struct text *text);

/* A comment after 15 s of silence. */
int event_stream_heartbeat(struct event_stream *stream);

/*
 * True every 5 s: who has been silent is then asked whether he is alive, since a service that
 * hangs ends no stream.
 */
bool event_stream_must_look(struct event_stream *stream);

/* The problem that *err is: as an event, or as the whole answer if nothing was begun. */
void event_stream_report(struct event_stream *stream, const struct err *err);

#endif
