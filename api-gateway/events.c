/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"

#include "event_id.h"
#include "event_stream.h"
#include "json_write.h"
#include "proto_message.h"
#include "rfc3339.h"

#define LOOK_INTERVAL_MS 250 /* how late a change of the GPUs is seen, or that the client went */
#define FIRST_STATE_MS	 5000
#define FIRST_ANSWER_MS	 5000
#define RETRY_MS	 1000 /* how long clients are told to wait before they come again */

typedef Hypeman__Instance__V1__WatchEventsRequest watch_request;
typedef Hypeman__Instance__V1__WatchEventsResponse watch_response;
typedef Hypeman__Gpu__V1__WatchHostRequest host_request;
typedef Hypeman__Gpu__V1__WatchHostResponse host_response;

struct events {
	struct event_stream out;
	const struct services *services;
	const struct route *route;
	const struct message_table *host; /* of GetHostResponse */
	struct rpc_stream *instances;	  /* owned */
	struct rpc_stream *gpus;	  /* owned */
	struct event_id seen;
	bool resumes; /* the client has seen events before */
};

/* `data` is the JSON of the event. 0, or -1: client gone. */
static int write_event(struct events *events, const char *type, const struct text *data)
{
	scoped_text struct text event = { 0 };

	text_append_format(&event, "event: %s\nid: ", type);
	event_id_append(&events->seen, &event);
	text_append_string(&event, "\ndata: ");
	text_append(&event, data->bytes ? data->bytes : "", data->length);
	text_append_string(&event, "\n\n");
	if (data->incomplete)
		return -1;
	return event_stream_write(&events->out, &event);
}

/* {"type", "time": and what follows is left to the caller. */
static void begin_data(struct text *data, const char *type)
{
	struct timespec now;
	struct rfc3339_text text;

	clock_gettime(CLOCK_REALTIME, &now);
	rfc3339_format(now.tv_sec, (int32_t)(now.tv_nsec / 1000000 * 1000000), &text);
	text_append_format(data, "{\"type\":\"%s\",\"time\":\"%s\"", type, text.s);
}

/* Between what the client has seen and what comes next there may have been others. */
static int write_lost(struct events *events)
{
	scoped_text struct text data = { 0 };

	begin_data(&data, "events.lost");
	text_append_string(&data, "}");
	return write_event(events, "events.lost", &data);
}

static int open_instances(struct events *events, ProtobufCMessage *request, struct err *err)
{
	const struct rpc_call_options options = { .timeout_ms = -1 };

	if (proto_set_string(&((watch_request *)request)->after, events->seen.instance))
		return err_sys(err, ENOMEM, "cannot watch");
	events->instances =
		rpc_stream_open(events->services->of[SERVICE_INSTANCE].channel,
				events->route->service, events->route->rpc_index, &options, err);
	if (!events->instances)
		return -1;
	/* If sending fails the stream has ended, and finishing it says why. */
	if (rpc_stream_send(events->instances, request) == 0)
		rpc_stream_close_send(events->instances);
	return 0;
}

static int open_gpus(struct events *events, struct err *err)
{
	const ProtobufCServiceDescriptor *api = &hypeman__gpu__v1__gpu_service__descriptor;
	const struct rpc_call_options options = { .timeout_ms = -1 };
	host_request request = HYPEMAN__GPU__V1__WATCH_HOST_REQUEST__INIT;

	events->gpus = rpc_stream_open(events->services->of[SERVICE_GPU].channel, api,
				       (unsigned)rpc_method_index(api, "WatchHost"), &options, err);
	if (!events->gpus)
		return services_explain_read(events->services, SERVICE_GPU, err);
	if (rpc_stream_send(events->gpus, &request.base) == 0)
		rpc_stream_close_send(events->gpus);
	return 0;
}

static int end_gpus(struct events *events, struct err *err)
{
	struct rpc_stream *ended = TAKE_PTR(events->gpus);

	if (rpc_stream_finish(ended, err) == 0)
		err_set(err, ERR_UNAVAILABLE, "the watch has ended");
	return services_explain_read(events->services, SERVICE_GPU, err);
}

/* Whether the state differs from the one the client has seen; it has seen this one then. */
static int see_host(struct events *events, Hypeman__Gpu__V1__GetHostResponse *host, bool *ret_new,
		    struct err *err)
{
	uint64_t generation = host->generation, state;
	scoped_free uint8_t *bytes = NULL;
	size_t length;

	host->generation = 0; /* starts anew with each run of the agent */
	length = hypeman__gpu__v1__get_host_response__get_packed_size(host);
	bytes = malloc(length + 1);
	if (!bytes)
		return err_sys(err, ENOMEM, "cannot watch");
	hypeman__gpu__v1__get_host_response__pack(host, bytes);
	host->generation = generation;
	state = event_id_fingerprint(bytes, length);
	*ret_new = !events->seen.has_gpu || events->seen.gpu != state;
	events->seen.has_gpu = true;
	events->seen.gpu = state;
	return 0;
}

static int write_gpus(struct events *events, const Hypeman__Gpu__V1__GetHostResponse *host,
		      struct err *err)
{
	scoped_text struct text data = { 0 };

	begin_data(&data, "gpu.changed");
	text_append_format(&data, ",\"generation\":\"%" PRIu64 "\",\"gpu\":", host->generation);
	if (json_write_field(&data, message_table_find(events->host, "gpu"), &host->base, err))
		return -1;
	text_append_string(&data, "}");
	return write_event(events, "gpu.changed", &data);
}

/*
 * What has come of the GPUs: a state within wait_ms, and all that wait behind it. 0, or -1 with
 * *err, unless the client has gone. A state that is news to the client is told if `tell`.
 */
static int take_gpus(struct events *events, int wait_ms, bool tell, struct err *err)
{
	for (;; wait_ms = 0) {
		scoped(proto_message_free) ProtobufCMessage *message = NULL;
		int r = rpc_stream_receive_timeout(events->gpus, wait_ms, &message);
		Hypeman__Gpu__V1__GetHostResponse *host;
		bool is_new = false;

		if (r == -ETIMEDOUT)
			return 0;
		if (r == 0)
			return end_gpus(events, err);
		host = ((host_response *)message)->host;
		if (!host)
			return err_set(err, ERR_INTERNAL, "gpu-agent sent no state");
		if (see_host(events, host, &is_new, err))
			return -1;
		if (is_new && tell && write_gpus(events, host, err))
			return -1;
	}
}

/* Always -1, with why the watch has ended as instance-svc said it. */
static int end_instances(struct events *events, struct err *err)
{
	struct rpc_stream *ended = TAKE_PTR(events->instances);

	if (rpc_stream_finish(ended, err) == 0)
		err_set(err, ERR_UNAVAILABLE, "the watch has ended");
	return -1;
}

/*
 * Watches from the event that the client has seen last; the caller explains *err. What happens
 * after this returned 0 is not missed: instance-svc has said that the watch has begun.
 */
static int watch_instances(struct events *events, ProtobufCMessage *request, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *message = NULL;
	int r;

	if (open_instances(events, request, err))
		return -1;
	r = rpc_stream_receive_timeout(events->instances, FIRST_ANSWER_MS, &message);
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_UNAVAILABLE, "instance-svc does not answer");
	return r == 0 ? end_instances(events, err) : 0;
}

/* An event that instance-svc cannot find was told by another: the client starts anew. */
static int begin_instances(struct events *events, ProtobufCMessage *request, bool *ret_lost,
			   struct err *err)
{
	int r = watch_instances(events, request, err);

	if (r && err->reason == ERR_INVALID_ARGUMENT && events->seen.instance[0]) {
		err->reason = ERR_NONE;
		events->seen.instance[0] = '\0';
		*ret_lost = true;
		r = watch_instances(events, request, err);
	}
	return r ? services_explain(events->services, events->route, err) : 0;
}

/* What has come of the instances, within wait_ms. 0, or -1 with *err, unless the client has gone.
 */
static int take_instances(struct events *events, int wait_ms, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *message = NULL;
	scoped_text struct text data = { 0 };
	int r = rpc_stream_receive_timeout(events->instances, wait_ms, &message);
	const Hypeman__Instance__V1__Event *event;

	if (r == -ETIMEDOUT)
		return 0;
	if (r == 0) {
		end_instances(events, err);
		return services_explain(events->services, events->route, err);
	}
	event = ((watch_response *)message)->event;
	if (!event || strpbrk(event->type, "\r\n"))
		return err_set(err, ERR_INTERNAL, "instance-svc sent no event");
	snprintf(events->seen.instance, sizeof(events->seen.instance), "%s", event->id);
	if (json_write_field(&data, events->route->answer, message, err))
		return -1;
	return write_event(events, event->type, &data);
}

static int write_head(struct events *events)
{
	scoped_text struct text head = { 0 };

	text_append_format(&head, "retry: %d\n\n", RETRY_MS);
	return event_stream_write(&events->out, &head);
}

/* Begins the answer. A client that saw no event of instance-svc cannot know what it missed. */
static int begin(struct events *events, ProtobufCMessage *request, bool known, struct err *err)
{
	bool lost = events->resumes && (!known || !events->seen.instance[0]);

	if (begin_instances(events, request, &lost, err) || open_gpus(events, err))
		return -1;
	/* A new client knows the state there is: what it has not asked for has not changed. */
	if (!events->resumes && take_gpus(events, FIRST_STATE_MS, false, err))
		return -1;
	if (write_head(events) || (lost && write_lost(events)))
		return -1;
	return 0;
}

static int check_services(const struct services *services, struct err *err)
{
	if (services_check(services, SERVICE_INSTANCE, err))
		return -1;
	return services_check(services, SERVICE_GPU, err);
}

static void pump(struct events *events, struct err *err)
{
	while (!exchange_is_over(events->out.exchange)) {
		if (take_instances(events, LOOK_INTERVAL_MS, err) ||
		    take_gpus(events, 0, true, err) || event_stream_heartbeat(&events->out))
			return;
		if (event_stream_must_look(&events->out) && check_services(events->services, err))
			return;
	}
}

int events_run(struct exchange *exchange, const struct services *services,
	       const struct route *route, const struct message_table *host,
	       const struct call_input *input, struct err *err)
{
	const char *last = request_header(exchange_request(exchange), "Last-Event-ID");
	struct events events = {
		.out = { .exchange = exchange },
		.services = services,
		.route = route,
		.host = host,
		.resumes = last && last[0],
	};
	bool known = events.resumes && event_id_parse(last, &events.seen) == 0;
	scoped(proto_message_free) ProtobufCMessage *request = NULL;
	scoped_free struct err *ignored = malloc(sizeof(*ignored));

	if (!ignored)
		return err_sys(err, ENOMEM, "cannot watch");
	if (call_build_request(route, input, &request, err) || check_services(services, err))
		return -1;
	err->reason = ERR_NONE;
	if (begin(&events, request, known, err) == 0)
		pump(&events, err);
	if (err->reason == ERR_NONE)
		err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
	event_stream_report(&events.out, err);
	if (events.instances)
		rpc_stream_finish(events.instances, ignored);
	if (events.gpus)
		rpc_stream_finish(events.gpus, ignored);
	return 0;
}
