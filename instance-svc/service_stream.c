/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that go on: logs and events. */
#include <errno.h>

#include "log_reader.h"
#include "service_internal.h"

#define TAIL_DEFAULT 100
#define TAIL_MAX     10000
#define FOLLOW_MS    100 /* how late a new line may come */

static int read_log_request(const Hypeman__Instance__V1__StreamLogsRequest *request,
			    enum log_source *ret_source, size_t *ret_tail, struct err *err)
{
	*ret_tail = TAIL_DEFAULT;
	if (request->tail_opt_case == HYPEMAN__INSTANCE__V1__STREAM_LOGS_REQUEST__TAIL_OPT_TAIL)
		*ret_tail = request->tail;
	if (*ret_tail > TAIL_MAX)
		return err_field(err, "tail", "tail is %zu: must be at most %d", *ret_tail,
				 TAIL_MAX);
	switch ((int)request->source) {
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_UNSPECIFIED:
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_APP:
		*ret_source = LOG_APP;
		return 0;
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_VMM:
		*ret_source = LOG_VMM;
		return 0;
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_HYPEMAN:
		*ret_source = LOG_HYPEMAN;
		return 0;
	default:
		return err_field(err, "source", "source is %d: must be app, vmm or hypeman",
				 (int)request->source);
	}
}

/* Sends what there is. False when the caller has gone. */
static bool send_lines(struct rpc_call *call, struct log_reader *reader, bool unfinished)
{
	Hypeman__Instance__V1__StreamLogsResponse response =
		HYPEMAN__INSTANCE__V1__STREAM_LOGS_RESPONSE__INIT;
	const char *line;

	while ((line = log_reader_next(reader, unfinished))) {
		response.line = (char *)(uintptr_t)line;
		if (rpc_call_send(call, &response.base) < 0)
			return false;
	}
	return true;
}

int service_stream_logs(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const Hypeman__Instance__V1__StreamLogsRequest *request =
		(const Hypeman__Instance__V1__StreamLogsRequest *)message;
	struct instances *instances = ((const struct service *)user)->instances;
	scoped(log_reader_close) struct log_reader *reader = NULL;
	enum log_source source = LOG_APP;
	struct id id;
	size_t tail;
	int directory;

	if (read_log_request(request, &source, &tail, err) < 0 ||
	    instances_open_logs(instances, request->id, &id, &directory, err) < 0)
		return -1;
	reader = log_reader_open(directory, source, tail);
	if (!reader)
		return err_sys(err, ENOMEM, "cannot read the logs");
	if (!request->follow) {
		(void)send_lines(call, reader, true);
		return 0;
	}
	/* The files are looked at anew: waiting for a change and for the caller at once would
	 * need a descriptor that the call does not have. */
	while (send_lines(call, reader, false) && instances_exists(instances, &id))
		if (rpc_call_wait_cancelled(call, FOLLOW_MS))
			return 0;
	(void)send_lines(call, reader, true);
	return 0;
}

static void wake_call(void *call)
{
	rpc_call_wake(call);
}

/* False when the caller has gone. */
static bool send_events(struct rpc_call *call, struct events *events,
			struct events_watcher *watcher)
{
	Hypeman__Instance__V1__WatchEventsResponse response =
		HYPEMAN__INSTANCE__V1__WATCH_EVENTS_RESPONSE__INIT;
	int r = 0;

	while (r == 0 && (response.event = events_take(events, watcher))) {
		r = rpc_call_send(call, &response.base);
		protobuf_c_message_free_unpacked(&response.event->base, NULL);
	}
	return r == 0;
}

int service_watch_events(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err)
{
	const Hypeman__Instance__V1__WatchEventsRequest *request =
		(const Hypeman__Instance__V1__WatchEventsRequest *)message;
	const Hypeman__Instance__V1__WatchEventsResponse begun =
		HYPEMAN__INSTANCE__V1__WATCH_EVENTS_RESPONSE__INIT;
	struct events *events = ((const struct service *)user)->events;
	struct events_watcher watcher;

	if (events_watch(events, request->after, wake_call, call, &watcher, err) < 0)
		return -1;
	(void)rpc_call_send(call, &begun.base);
	while (send_events(call, events, &watcher) && !rpc_call_wait_cancelled(call, -1))
		;
	events_unwatch(events, &watcher);
	return 0;
}
