/* SPDX-License-Identifier: Apache-2.0 */
#include "services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"

#include "proto_message.h"

#define HEALTH_TIMEOUT_MS 5000

int services_add(struct services *services, enum service_id id, const char *name,
		 const char *socket, uid_t uid, struct err *err)
{
	services->of[id].name = name;
	services->of[id].channel = rpc_channel_new(socket, uid);
	services->of[id].errors = calloc(SERVICES_CODE_COUNT, sizeof(atomic_ullong));
	if (!services->of[id].channel || !services->of[id].errors)
		return err_sys(err, ENOMEM, "cannot connect to %s", name);
	return 0;
}

void services_done(struct services *services)
{
	for (enum service_id id = 0; id < SERVICE_COUNT; id++) {
		if (services->of[id].channel)
			rpc_channel_free(services->of[id].channel);
		services->of[id].channel = NULL;
		free(services->of[id].errors);
		services->of[id].errors = NULL;
	}
}

/* Parts of a join have no method; they and GET only read. */
static bool is_read(const struct route *route)
{
	return !route->method || strcmp(route->method, "GET") == 0;
}

/* The RPC's "instance.name" is the body's "name". */
static void rename_field(const struct route *route, struct err *err)
{
	const char *body = route->body ? route->body->pb->name : "";
	size_t length = strlen(body);

	if (length > 0 && strncmp(err->field, body, length) == 0 && err->field[length] == '.')
		memmove(err->field, err->field + length + 1, strlen(err->field + length + 1) + 1);
}

static void count_error(const struct service *service, const struct err *err)
{
	atomic_fetch_add(&service->errors[err_reason_info(err->reason)->grpc_code], 1);
}

static void name_service(const struct service *service, struct err *err)
{
	if (err->reason == ERR_OUTCOME_UNKNOWN || err->reason == ERR_UNAVAILABLE)
		err_prefix(err, "%s", service->name);
}

int services_explain_read(const struct services *services, enum service_id id, struct err *err)
{
	count_error(&services->of[id], err);
	if (err->reason == ERR_OUTCOME_UNKNOWN)
		err->reason = ERR_UNAVAILABLE;
	name_service(&services->of[id], err);
	return -1;
}

int services_explain(const struct services *services, const struct route *route, struct err *err)
{
	rename_field(route, err);
	if (is_read(route))
		return services_explain_read(services, route->service_id, err);
	count_error(&services->of[route->service_id], err);
	name_service(&services->of[route->service_id], err);
	return -1;
}

int services_call(const struct services *services, const struct route *route,
		  const ProtobufCMessage *request, int timeout_ms, ProtobufCMessage **ret,
		  struct err *err)
{
	const struct rpc_call_options options = { .timeout_ms = timeout_ms };

	if (rpc_channel_call(services->of[route->service_id].channel, route->service,
			     route->rpc_index, request, &options, ret, err))
		return services_explain(services, route, err);
	return 0;
}

int services_query(const struct services *services, enum service_id id,
		   const ProtobufCServiceDescriptor *api, const char *method,
		   const ProtobufCMessage *request, int timeout_ms, ProtobufCMessage **ret,
		   struct err *err)
{
	const struct rpc_call_options options = { .timeout_ms = timeout_ms };
	const struct service *service = &services->of[id];

	if (rpc_channel_call(service->channel, api, (unsigned)rpc_method_index(api, method),
			     request, &options, ret, err) == 0)
		return 0;
	count_error(service, err);
	return err_prefix(err, "%s", service->name);
}

unsigned long long services_error_count(const struct services *services, enum service_id id,
					int code)
{
	return atomic_load(&services->of[id].errors[code]);
}

const char *services_code_name(int code)
{
	static const char *const names[SERVICES_CODE_COUNT] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return names[code];
}

bool services_state(const struct services *services, struct services_state *ret)
{
	*ret = (struct services_state){ 0 };
	for (enum service_id id = SERVICE_NONE + 1; id < SERVICE_COUNT; id++)
		if (!rpc_channel_state(services->of[id].channel, &ret->of[id]))
			return false;
	return true;
}

int services_check(const struct services *services, enum service_id id, struct err *err)
{
	int timeout_ms =
		services->timeout_ms < HEALTH_TIMEOUT_MS ? services->timeout_ms : HEALTH_TIMEOUT_MS;
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	scoped(proto_message_free) ProtobufCMessage *answer = NULL;

	if (services_query(services, id, &grpc__health__v1__health__descriptor, "Check",
			   &request.base, timeout_ms, &answer, err)) {
		err->reason = ERR_UNAVAILABLE;
		return -1;
	}
	if (((Grpc__Health__V1__HealthCheckResponse *)answer)->status !=
	    GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		return err_set(err, ERR_UNAVAILABLE, "%s says that it is not serving",
			       services->of[id].name);
	return 0;
}
