/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods: what is not in it does not exist. */
#include "service.h"

#include <stdlib.h>

#include "instance_proto_descriptor_set.h"
#include "service_exec.h"
#include "service_internal.h"
#include "service_volume.h"

#define MARGIN_MS 1000 /* the answer must be sent before the caller's deadline */

int service_answer(struct rpc_call *call, ProtobufCMessage *response, ProtobufCMessage *take_part)
{
	(void)rpc_call_send(call, response);
	protobuf_c_message_free_unpacked(take_part, NULL);
	return 0;
}

static bool is_gone(void *call)
{
	return rpc_call_cancelled(call);
}

struct instances_patience service_patience(struct rpc_call *call, int64_t most_ms)
{
	int64_t left = rpc_call_time_left_ms(call) - MARGIN_MS;

	if (left > most_ms)
		left = most_ms;
	return (struct instances_patience){
		.timeout_ms = left > 0 ? left : 0,
		.is_gone = is_gone,
		.user = call,
	};
}

static int get_resources(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err)
{
	Hypeman__Instance__V1__GetResourcesResponse *response;

	(void)message;
	if (instances_resources(((const struct service *)user)->instances, &response, err) < 0)
		return -1;
	(void)rpc_call_send(call, &response->base);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return 0;
}

/* What waits for the agent or for a VM must not hold up the others: RPC_LONG. */
static const struct rpc_method methods[] = {
	{ "CreateInstance", ROLE_OPERATOR, service_create_instance, RPC_LONG },
	{ "GetInstance", ROLE_READER | ROLE_OPERATOR, service_get_instance, RPC_READ },
	{ "ListInstances", ROLE_READER | ROLE_OPERATOR, service_list_instances, RPC_READ },
	{ "DeleteInstance", ROLE_OPERATOR, service_delete_instance, RPC_LONG },
	{ "StopInstance", ROLE_OPERATOR, service_stop_instance, RPC_LONG },
	{ "StartInstance", ROLE_OPERATOR, service_start_instance, RPC_LONG },
	{ "StandbyInstance", ROLE_OPERATOR, service_standby_instance, RPC_LONG },
	{ "RestoreInstance", ROLE_OPERATOR, service_restore_instance, RPC_LONG },
	{ "WaitInstance", ROLE_READER | ROLE_OPERATOR, service_wait_instance, RPC_LONG | RPC_READ },
	{ "GetInstanceStats", ROLE_READER | ROLE_OPERATOR, service_get_instance_stats,
	  RPC_LONG | RPC_READ },
	{ "AttachVolume", ROLE_OPERATOR, service_attach_volume, 0 },
	{ "DetachVolume", ROLE_OPERATOR, service_detach_volume, 0 },
	{ "WatchEvents", ROLE_READER | ROLE_OPERATOR, service_watch_events, RPC_LONG | RPC_READ },
	{ "Exec", ROLE_OPERATOR, service_exec, RPC_LONG },
	{ "StatPath", ROLE_OPERATOR, service_stat_path, RPC_LONG | RPC_READ },
	{ "StreamLogs", ROLE_READER | ROLE_OPERATOR, service_stream_logs, RPC_LONG | RPC_READ },
	{ "GetResources", ROLE_READER | ROLE_OPERATOR, get_resources, RPC_READ },
	{ NULL, 0, NULL, 0 },
};

int service_add(struct rpc_server *server, struct instances *instances, struct events *events,
		struct err *err)
{
	static struct service service; /* one server a process */

	service = (struct service){ .instances = instances, .events = events };
	if (rpc_server_add_descriptors(server, instance_proto_descriptor_set,
				       instance_proto_descriptor_set_size, err) < 0)
		return -1;
	return rpc_server_add_service(server, &hypeman__instance__v1__instance_service__descriptor,
				      methods, &service, err);
}
