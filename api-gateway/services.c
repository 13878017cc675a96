/* SPDX-License-Identifier: Apache-2.0 */
#include "services.h"

#include <errno.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"

#include "proto_message.h"

int services_add(struct services *services, enum service_id id, const char *name,
		 const char *socket, uid_t uid, struct err *err)
{
	services->of[id].name = name;
	services->of[id].channel = rpc_channel_new(socket, uid);
	if (!services->of[id].channel)
		return err_sys(err, ENOMEM, "cannot connect to %s", name);
	return 0;
}

void services_done(struct services *services)
{
	for (enum service_id id = 0; id < SERVICE_COUNT; id++) {
		if (services->of[id].channel)
			rpc_channel_free(services->of[id].channel);
		services->of[id].channel = NULL;
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

int services_explain(const struct services *services, const struct route *route, struct err *err)
{
	rename_field(route, err);
	if (err->reason == ERR_OUTCOME_UNKNOWN && is_read(route))
		err->reason = ERR_UNAVAILABLE;
	if (err->reason == ERR_OUTCOME_UNKNOWN || err->reason == ERR_UNAVAILABLE)
		err_prefix(err, "%s", services->of[route->service_id].name);
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

int services_check(const struct services *services, enum service_id id, int timeout_ms,
		   struct err *err)
{
	const struct service *service = &services->of[id];
	const struct rpc_call_options options = { .timeout_ms = timeout_ms };
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	scoped(proto_message_free) ProtobufCMessage *answer = NULL;
	int method = rpc_method_index(&grpc__health__v1__health__descriptor, "Check");

	if (rpc_channel_call(service->channel, &grpc__health__v1__health__descriptor,
			     (unsigned)method, &request.base, &options, &answer, err)) {
		err->reason = ERR_UNAVAILABLE;
		return err_prefix(err, "%s", service->name);
	}
	if (((Grpc__Health__V1__HealthCheckResponse *)answer)->status !=
	    GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		return err_set(err, ERR_UNAVAILABLE, "%s says that it is not serving",
			       service->name);
	return 0;
}
