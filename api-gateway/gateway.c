/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#include "gpu_proto_descriptor_set.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "instance_proto_descriptor_set.h"

#include "call.h"
#include "events.h"
#include "exec.h"
#include "idempotency.h"
#include "long_call.h"
#include "openapi.h"
#include "page.h"
#include "prometheus.h"
#include "proto_message.h"
#include "sse.h"

/* What one request needs beyond its stack. */
struct work {
	struct url_path path;
	struct token_subject caller;
	struct idempotency_id request_id;
	struct text body;
	struct response response;
};

static int fetch_join(void *user, int timeout_ms, struct text *ret, struct err *err)
{
	const struct join *join = user;
	const struct services *services = &join->gateway->services;
	const struct route_table *table = &join->gateway->routes;
	size_t left = table->count - (size_t)(join->route - table->routes);
	struct services_state state;
	int64_t began_ms = clock_monotonic_ms();
	bool known = services_state(services, &state);

	if (call_run_join(services, join->route, left, timeout_ms, ret, err))
		return -1;
	if (known && !ret->incomplete)
		kept_answer_put(join->kept, &state, began_ms, ret);
	return 0;
}

static int init_joins(struct gateway *gateway, struct err *err)
{
	gateway->joins = calloc(gateway->routes.count, sizeof(*gateway->joins));
	if (!gateway->joins)
		return err_sys(err, ENOMEM, "cannot start");
	for (size_t i = 0; i < gateway->routes.count; i++) {
		struct join *join = &gateway->joins[i];

		join->gateway = gateway;
		join->route = &gateway->routes.routes[i];
		if (join->route->kind != ROUTE_JOIN)
			continue;
		join->flight = single_flight_new(fetch_join, join);
		join->kept = kept_answer_new();
		if (!join->flight || !join->kept)
			return err_sys(err, ENOMEM, "cannot start");
	}
	return 0;
}

static int init_metrics(struct gateway *gateway, struct err *err)
{
	struct metrics_sources sources = { &gateway->services, NULL, &gateway->streams,
					   gateway->streams_max };

	gateway->traffic = traffic_new(gateway->routes);
	if (!gateway->traffic)
		return err_sys(err, ENOMEM, "cannot start");
	sources.traffic = gateway->traffic;
	gateway->metrics = metrics_new(&sources, gateway->fields, err);
	return gateway->metrics ? 0 : -1;
}

static int init_openapi(struct gateway *gateway, const struct descriptor_set *sets, size_t count,
			struct err *err)
{
	scoped(proto_docs_free) struct proto_docs *docs = proto_docs_new(sets, count, err);

	if (!docs)
		return -1;
	return openapi_write(&gateway->routes, docs, gateway->auth != NULL, &gateway->openapi, err);
}

int gateway_init(struct gateway *gateway, struct err *err)
{
	const struct descriptor_set sets[] = {
		{ gpu_proto_descriptor_set, gpu_proto_descriptor_set_size },
		{ instance_proto_descriptor_set, instance_proto_descriptor_set_size },
	};

	gateway->fields = field_table_new(sets, sizeof(sets) / sizeof(sets[0]), err);
	if (!gateway->fields || route_table_init(&gateway->routes, gateway->fields, err) ||
	    init_joins(gateway, err) || init_metrics(gateway, err))
		return -1;
	gateway->host = field_table_message(gateway->fields,
					    &hypeman__gpu__v1__get_host_response__descriptor, err);
	if (!gateway->host)
		return -1;
	return init_openapi(gateway, sets, sizeof(sets) / sizeof(sets[0]), err);
}

void gateway_done(struct gateway *gateway)
{
	for (size_t i = 0; gateway->joins && i < gateway->routes.count; i++) {
		single_flight_free(gateway->joins[i].flight);
		kept_answer_free(gateway->joins[i].kept);
	}
	free(gateway->joins);
	metrics_free(gateway->metrics);
	traffic_free(gateway->traffic);
	text_done(&gateway->openapi);
	field_table_free(gateway->fields);
	services_done(&gateway->services);
}

static int run_health(const struct gateway *gateway, struct text *ret, struct err *err)
{
	for (enum service_id id = SERVICE_NONE + 1; id < SERVICE_COUNT; id++)
		if (services_check(&gateway->services, id, err))
			return -1;
	text_append_string(ret, "{\"status\":\"ok\"}");
	return 0;
}

static int run_join(struct gateway *gateway, const struct route *route, struct text *ret,
		    struct err *err)
{
	struct join *join = &gateway->joins[route - gateway->routes.routes];
	struct services_state state;

	if (services_state(&gateway->services, &state) &&
	    kept_answer_get(join->kept, &state, clock_monotonic_ms(), ret))
		return 0;
	return single_flight_read(join->flight, gateway->services.timeout_ms, ret, err);
}

static int take_stream(struct gateway *gateway, struct err *err)
{
	if (atomic_fetch_add(&gateway->streams, 1) < gateway->streams_max)
		return 0;
	atomic_fetch_sub(&gateway->streams, 1);
	return err_set(err, ERR_OVERLOADED, "%u streams are open already, the most there may be",
		       gateway->streams_max);
}

/* 0 when the exchange has been answered. */
static int run_stream(struct gateway *gateway, const struct route *route, struct exchange *exchange,
		      const struct call_input *input, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *request = NULL;

	if (call_build_request(route, input, &request, err))
		return -1;
	if (strcmp(exchange_request(exchange)->method, "HEAD") == 0) {
		exchange_stream_begin(exchange);
		return 0;
	}
	if (take_stream(gateway, err))
		return -1;
	sse_run(exchange, &gateway->services, route, request);
	atomic_fetch_sub(&gateway->streams, 1);
	return 0;
}

/* 0 when the exchange has been answered. */
static int run_events(struct gateway *gateway, const struct route *route, struct exchange *exchange,
		      const struct call_input *input, struct err *err)
{
	int r;

	if (strcmp(exchange_request(exchange)->method, "HEAD") == 0) {
		exchange_stream_begin(exchange);
		return 0;
	}
	if (take_stream(gateway, err))
		return -1;
	r = events_run(exchange, &gateway->services, route, gateway->host, input, err);
	atomic_fetch_sub(&gateway->streams, 1);
	return r;
}

/* 0 when the exchange has been answered. */
static int run_exec(struct gateway *gateway, const struct route *route, struct exchange *exchange,
		    const struct call_input *input, struct err *err)
{
	int r;

	if (take_stream(gateway, err))
		return -1;
	r = exec_run(exchange, &gateway->services, route, input, err);
	atomic_fetch_sub(&gateway->streams, 1);
	return r;
}

/* 0 with the response filled. */
static int run_long(struct gateway *gateway, const struct route *route, struct exchange *exchange,
		    const struct call_input *input, struct text *ret, struct err *err)
{
	int r;

	if (take_stream(gateway, err))
		return -1;
	r = long_call_run(exchange, &gateway->services, route, input, ret, err);
	atomic_fetch_sub(&gateway->streams, 1);
	return r;
}

/* POST has a body even when there is nothing to say: that nothing more was said is checked. */
static bool reads_body(const struct route *route)
{
	return route->body || strcmp(route->method, "POST") == 0;
}

/* 0 with the response filled. */
static int run_unary(struct gateway *gateway, const struct route *route, struct exchange *exchange,
		     const struct call_input *input, struct work *work, struct err *err)
{
	work->response.status = route->status;
	if (!route->request && route_fill(route, input->path, input->query, NULL, err))
		return -1;
	if (reads_body(route) && exchange_read_body(exchange, &work->body, err))
		return -1;
	switch (route->kind) {
	case ROUTE_HEALTH:
		return run_health(gateway, &work->response.body, err);
	case ROUTE_METRICS:
		work->response.content_type = PROMETHEUS_CONTENT_TYPE;
		return metrics_run(gateway->metrics, &work->response.body, err);
	case ROUTE_OPENAPI:
		text_append(&work->response.body, gateway->openapi.bytes, gateway->openapi.length);
		return 0;
	case ROUTE_PAGE:
		page_answer(route, &work->response);
		return 0;
	case ROUTE_JOIN:
		return run_join(gateway, route, &work->response.body, err);
	case ROUTE_LONG:
		return run_long(gateway, route, exchange, input, &work->response.body, err);
	default:
		return call_run(&gateway->services, route, input, &work->response.body, err);
	}
}

/* Strangers are told nothing, not even what there is. */
static int check_caller(const struct gateway *gateway, const struct request *request,
			const struct route *route, struct work *work, struct err *err)
{
	const char *scope = route ? route->scope : NULL;

	if (!gateway->auth || (route && scope[0] == '\0') ||
	    auth_check(gateway->auth, request, scope, &work->caller, err) == 0)
		return 0;
	work->response.allow[0] = '\0';
	return -1;
}

/* 0 when the exchange has been answered. */
static int handle(struct gateway *gateway, struct exchange *exchange, struct work *work,
		  struct err *err)
{
	const struct request *request = exchange_request(exchange);
	const struct call_input input = { &work->path, request->query, &work->body,
					  work->request_id.s, work->caller.s };
	const struct route *route;

	if (url_path_parse(request->target, &work->path, err))
		return -1;
	route = route_find(&gateway->routes, request->method, &work->path, work->response.allow,
			   sizeof(work->response.allow), err);
	exchange_set_route(exchange, route);
	if (work->response.allow[0] && strcmp(request->method, "OPTIONS") == 0) {
		work->response.status = 204;
		exchange_respond(exchange, &work->response);
		return 0;
	}
	if (check_caller(gateway, request, route, work, err) || !route ||
	    idempotency_read(request, work->caller.s, &work->request_id, err))
		return -1;
	if (route->kind == ROUTE_STREAM)
		return run_stream(gateway, route, exchange, &input, err);
	if (route->kind == ROUTE_EVENTS)
		return run_events(gateway, route, exchange, &input, err);
	if (route->kind == ROUTE_EXEC)
		return run_exec(gateway, route, exchange, &input, err);
	if (run_unary(gateway, route, exchange, &input, work, err))
		return -1;
	exchange_respond(exchange, &work->response);
	return 0;
}

void gateway_handle(struct exchange *exchange, void *user)
{
	struct work *work = calloc(1, sizeof(*work));
	struct err *err = exchange_err(exchange);

	if (!work) {
		err_sys(err, ENOMEM, "cannot handle the request");
		exchange_refuse(exchange, err);
		return;
	}
	if (handle(user, exchange, work, err)) {
		response_set_problem(&work->response, err);
		exchange_respond(exchange, &work->response);
	}
	text_done(&work->body);
	response_done(&work->response);
	free(work);
}
