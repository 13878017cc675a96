/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>

#include "check_service.h"
#include "common/log.h"
#include "cordon.h"
#include "device_service.h"
#include "gpu_proto_descriptor_set.h"
#include "host_wire.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "peers.h"

static int get_host(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		    struct err *err);
static int create_allocation(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			     struct err *err);
static int delete_allocation(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			     struct err *err);
static int list_allocations(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			    struct err *err);
static int sync_allocations(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			    struct err *err);
static int watch_host(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		      struct err *err);
static int cordon(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		  struct err *err);
static int uncordon(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		    struct err *err);

_Static_assert(sizeof(((struct rpc_peer *)NULL)->name) <= ALLOCATION_PRINCIPAL_MAX,
	       "a peer's name is its principal");

/*
 * Everything that can be asked of this process. What waits for the kernel has threads of
 * its own, so that reads are answered while the kernel is not.
 */
static const struct rpc_method methods[] = {
	/* method             peers that may call           handler */
	{ "GetHost", ROLE_READER | ROLE_ADMIN, get_host, RPC_READ },
	{ "CreateAllocation", ROLE_ALLOCATOR | ROLE_ADMIN, create_allocation, RPC_LONG },
	{ "DeleteAllocation", ROLE_ALLOCATOR | ROLE_ADMIN, delete_allocation, RPC_LONG },
	{ "ListAllocations", ROLE_ALLOCATOR | ROLE_ADMIN, list_allocations, RPC_READ },
	{ "SyncAllocations", ROLE_ALLOCATOR | ROLE_ADMIN, sync_allocations, RPC_LONG },
	{ "WatchHost", ROLE_READER | ROLE_ADMIN, watch_host, RPC_LONG | RPC_READ },
	{ "RegisterDevice", ROLE_REGISTRAR | ROLE_ADMIN, register_device, 0 },
	{ "GetDevice", ROLE_READER | ROLE_ADMIN, get_device, RPC_READ },
	{ "ListDevices", ROLE_READER | ROLE_ADMIN, list_devices, RPC_READ },
	{ "ListAvailableDevices", ROLE_READER | ROLE_ADMIN, list_available_devices, RPC_READ },
	{ "UnregisterDevice", ROLE_REGISTRAR | ROLE_ADMIN, unregister_device, 0 },
	{ "CheckHost", ROLE_READER | ROLE_ADMIN, check_host, RPC_LONG | RPC_READ },
	{ "CordonSlot", ROLE_ADMIN, cordon, 0 },
	{ "UncordonSlot", ROLE_ADMIN, uncordon, 0 },
	{ NULL, 0, NULL, 0 },
};

int gpu_service_add(struct rpc_server *server, struct gpu_service *service, struct err *err)
{
	if (rpc_server_add_descriptors(server, gpu_proto_descriptor_set,
				       gpu_proto_descriptor_set_size, err))
		return -1;
	return rpc_server_add_service(server, &hypeman__gpu__v1__gpu_service__descriptor, methods,
				      service, err);
}

/* NULL for an admin: everybody's. */
static const char *scope_of(const struct rpc_call *call)
{
	const struct rpc_peer *peer = rpc_call_peer(call);

	return peer->roles & ROLE_ADMIN ? NULL : peer->name;
}

int gpu_service_refuse(struct rpc_call *call, const char *method, const struct err *err)
{
	log_warning("%s: %s (code=%s peer=%s)", method, err->message,
		    err_reason_info(err->reason)->word, rpc_call_peer(call)->name);
	return -1;
}

static int get_host(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		    struct err *err)
{
	struct gpu_service *service = user;
	scoped(host_view_unref) struct host_view *view = NULL;

	(void)request;
	if (agent_get_view(service->agent, &view, err))
		return -1;
	return host_reply(call, view, &service->roots, err);
}

static int create_allocation(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			     struct err *err)
{
	struct gpu_service *service = user;
	struct create_request create;
	struct allocation allocation;

	if (create_request_from_wire(request, rpc_call_peer(call)->name, &create, err) ||
	    allocator_create(service->agent, &create, &allocation, err))
		return gpu_service_refuse(call, "CreateAllocation", err);
	return create_reply(call, &allocation, &service->roots);
}

static int delete_allocation(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			     struct err *err)
{
	struct gpu_service *service = user;
	char id[OPS_UUID_SIZE];

	if (delete_request_from_wire(request, id, err) ||
	    allocator_delete(service->agent, scope_of(call), id, err))
		return gpu_service_refuse(call, "DeleteAllocation", err);
	return delete_reply(call);
}

static int list_allocations(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			    struct err *err)
{
	struct gpu_service *service = user;
	scoped_free struct allocation *allocations = NULL;
	uint64_t after, revision;
	size_t max;
	bool more;
	int count;

	if (list_request_from_wire(request, &max, &after, err) ||
	    sync_revision(service->agent, &revision, err))
		return gpu_service_refuse(call, "ListAllocations", err);
	count = allocator_list(service->agent, scope_of(call), after, max, &allocations, &more);
	if (count < 0)
		return err_sys(err, count, "cannot list the allocations");
	return list_reply(call, allocations, (size_t)count, more, revision, &service->roots, err);
}

static int sync_allocations(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			    struct err *err)
{
	struct gpu_service *service = user;
	scoped(sync_request_done) struct sync_request claim = { 0 };
	scoped(sync_result_done) struct sync_result result = { 0 };

	if (sync_request_from_wire(request, rpc_call_peer(call)->name, &claim, err) ||
	    sync_run(service->agent, &claim, &result, err))
		return gpu_service_refuse(call, "SyncAllocations", err);
	return sync_reply(call, &result, err);
}

static void wake_watch(void *call)
{
	rpc_call_wake(call);
}

/* A send waits for the reader, so one that is slow gets fewer states, and the latest of all. */
static int send_changes(struct rpc_call *call, struct gpu_service *service, struct err *err)
{
	uint64_t sent = 0;
	bool first = true;

	do {
		scoped(host_view_unref) struct host_view *view = NULL;

		if (agent_get_view(service->agent, &view, err))
			return -1;
		if (!first && view->generation == sent)
			continue;
		if (host_send(call, view, &service->roots, err))
			return -1;
		sent = view->generation;
		first = false;
	} while (!rpc_call_wait_cancelled(call, -1));
	return err_set(err, ERR_UNAVAILABLE, "the agent is stopping, watch again");
}

static int watch_host(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		      struct err *err)
{
	struct gpu_service *service = user;
	struct watcher watcher = { .wake = wake_watch, .user = call };
	int r;

	(void)request;
	agent_add_watcher(service->agent, &watcher);
	r = send_changes(call, service, err);
	agent_remove_watcher(service->agent, &watcher);
	return r;
}

static int cordon(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		  struct err *err)
{
	struct gpu_service *service = user;
	struct pci_addr slot;
	const char *reason;

	if (cordon_request_from_wire(request, &slot, &reason, err) ||
	    cordon_slot(service->agent, slot, reason, err))
		return gpu_service_refuse(call, "CordonSlot", err);
	return cordon_reply(call);
}

static int uncordon(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		    struct err *err)
{
	struct gpu_service *service = user;
	struct pci_addr slot;

	if (uncordon_request_from_wire(request, &slot, err) ||
	    uncordon_slot(service->agent, slot, err))
		return gpu_service_refuse(call, "UncordonSlot", err);
	return uncordon_reply(call);
}
