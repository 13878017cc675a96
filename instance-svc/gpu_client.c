/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu_client_internal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pci_addr.h"
#include "common/rpc/rpc.h"
#include "common/scoped.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"

#define SERVICE (&hypeman__gpu__v1__gpu_service__descriptor)

typedef Hypeman__Gpu__V1__Allocation wire_allocation;

struct gpu_client {
	struct rpc_channel *channel;
};

struct gpu_client *gpu_client_new(const char *socket_path, uid_t server_uid)
{
	struct gpu_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->channel = rpc_channel_new(socket_path, server_uid);
	if (!client->channel) {
		free(client);
		return NULL;
	}
	return client;
}

void gpu_client_free(struct gpu_client *client)
{
	if (!client)
		return;
	rpc_channel_free(client->channel);
	free(client);
}

int gpu_client_call(struct gpu_client *client, const char *method, const ProtobufCMessage *request,
		    ProtobufCMessage **ret, struct err *err)
{
	const struct rpc_call_options options = { .timeout_ms = GPU_CALL_MS };
	int index = rpc_method_index(SERVICE, method);

	if (rpc_channel_call(client->channel, SERVICE, (unsigned)index, request, &options, ret,
			     err) == 0)
		return 0;
	if (err->reason == ERR_UNAVAILABLE)
		err_prefix(err, "gpu-agent");
	return -1;
}

/* Characters that mean nothing to QEMU's option parser, and no way up. */
static bool is_plain_path(const char *path, const char *prefix)
{
	size_t length = strlen(path);

	return length < GPU_LEASE_PATH_MAX && strncmp(path, prefix, strlen(prefix)) == 0 &&
	       !strstr(path, "..") &&
	       strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "/:._-") == length;
}

static int bad_lease(const char *field, const char *value, struct err *err)
{
	return err_set(err, ERR_INTERNAL, "gpu-agent gave an allocation whose %s is '%.64s'", field,
		       value);
}

/* What a real VM opens by path. In simulation nothing is opened, and nothing is kept. */
static int read_paths(const wire_allocation *wire, struct gpu_lease *lease, struct err *err)
{
	if (wire->simulated)
		return 0;
	if (!is_plain_path(wire->sysfs_path, "/sys/"))
		return bad_lease("sysfs_path", wire->sysfs_path, err);
	if (!is_plain_path(wire->device_node, "/dev/vfio/"))
		return bad_lease("device_node", wire->device_node, err);
	memcpy(lease->sysfs_path, wire->sysfs_path, strlen(wire->sysfs_path));
	memcpy(lease->device_node, wire->device_node, strlen(wire->device_node));
	return 0;
}

static int read_functions(const wire_allocation *wire, struct gpu_lease *lease, struct err *err)
{
	if (wire->n_pci_functions > GPU_LEASE_FUNCTIONS_MAX)
		return err_set(err, ERR_INTERNAL, "gpu-agent gave a device of %zu functions",
			       wire->n_pci_functions);
	for (size_t i = 0; i < wire->n_pci_functions; i++)
		if (pci_addr_parse(wire->pci_functions[i], &lease->functions[i]) < 0)
			return bad_lease("pci_functions", wire->pci_functions[i], err);
	lease->function_count = (uint32_t)wire->n_pci_functions;
	return 0;
}

static int read_ids(const wire_allocation *wire, const char *request_id, struct gpu_lease *lease,
		    struct err *err)
{
	if (!wire || !uuid_is_valid(wire->id) || strcmp(wire->request_id, request_id) != 0)
		return err_set(err, ERR_INTERNAL, "gpu-agent's answer is not about our request");
	if (wire->state != HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_READY)
		return err_set(err, ERR_INTERNAL, "gpu-agent gave an allocation that is not ready");
	if (*wire->mdev_uuid && !uuid_is_valid(wire->mdev_uuid))
		return bad_lease("mdev_uuid", wire->mdev_uuid, err);
	if (*wire->device_id && !uuid_is_valid(wire->device_id))
		return bad_lease("device_id", wire->device_id, err);
	memcpy(lease->id.s, wire->id, strlen(wire->id));
	memcpy(lease->mdev_uuid.s, wire->mdev_uuid, strlen(wire->mdev_uuid));
	memcpy(lease->device_id.s, wire->device_id, strlen(wire->device_id));
	return 0;
}

static int lease_from_wire(const wire_allocation *wire, const char *request_id,
			   struct gpu_lease *ret, struct err *err)
{
	struct gpu_lease lease = { 0 };
	struct pci_addr address;

	if (read_ids(wire, request_id, &lease, err) < 0)
		return -1;
	if (pci_addr_parse(wire->pci_address, &address) < 0)
		return bad_lease("pci_address", wire->pci_address, err);
	if (strlen(wire->profile) >= sizeof(lease.profile))
		return bad_lease("profile", wire->profile, err);
	if (read_paths(wire, &lease, err) < 0 || read_functions(wire, &lease, err) < 0)
		return -1;
	memcpy(lease.profile, wire->profile, strlen(wire->profile));
	memcpy(lease.pci_address, wire->pci_address, strlen(wire->pci_address));
	lease.framebuffer_mb = wire->framebuffer_mb;
	lease.numa_node = wire->numa_node;
	lease.simulated = wire->simulated;
	*ret = lease;
	return 0;
}

/* The agent names its own field; our caller knows it by ours, and its body without "instance.". */
static int refuse_reservation(struct err *err)
{
	static const struct {
		const char *theirs, *ours, *in_body;
	} fields[] = {
		{ "vgpu.profile", "instance.gpu.profile", "gpu.profile" },
		{ "device.device", "instance.devices", "devices" },
	};
	const struct err said = *err;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t length = strlen(fields[i].theirs);

		if (strcmp(said.field, fields[i].theirs) != 0)
			continue;
		snprintf(err->field, sizeof(err->field), "%s", fields[i].ours);
		if (strncmp(said.message, fields[i].theirs, length) == 0)
			snprintf(err->message, sizeof(err->message), "%s%s", fields[i].in_body,
				 said.message + length);
	}
	return -1;
}

int gpu_client_reserve(struct gpu_client *client, const char *request_id, const char *owner,
		       const struct gpu_wish *wish, gid_t gid, struct gpu_lease *ret,
		       struct err *err)
{
	Hypeman__Gpu__V1__CreateAllocationRequest request =
		HYPEMAN__GPU__V1__CREATE_ALLOCATION_REQUEST__INIT;
	Hypeman__Gpu__V1__VgpuRequest vgpu = HYPEMAN__GPU__V1__VGPU_REQUEST__INIT;
	Hypeman__Gpu__V1__DeviceRequest device = HYPEMAN__GPU__V1__DEVICE_REQUEST__INIT;
	ProtobufCMessage *answer;
	int r;

	vgpu.profile = TEXT(wish->profile);
	device.device = TEXT(wish->device);
	request.request_id = TEXT(request_id);
	request.owner = TEXT(owner);
	request.vgpu = wish->profile ? &vgpu : NULL;
	request.device = wish->profile ? NULL : &device;
	request.grant_gid = gid;
	if (gpu_client_call(client, "CreateAllocation", &request.base, &answer, err) < 0)
		return refuse_reservation(err);
	r = lease_from_wire(
		((const Hypeman__Gpu__V1__CreateAllocationResponse *)answer)->allocation,
		request_id, ret, err);
	protobuf_c_message_free_unpacked(answer, NULL);
	return r;
}

bool gpu_client_was_refused(const struct err *err)
{
	switch (err_reason_info(err->reason)->grpc_code) {
	case ERR_GRPC_INVALID_ARGUMENT:
	case ERR_GRPC_NOT_FOUND:
	case ERR_GRPC_ALREADY_EXISTS:
	case ERR_GRPC_PERMISSION_DENIED:
	case ERR_GRPC_RESOURCE_EXHAUSTED:
	case ERR_GRPC_FAILED_PRECONDITION:
	case ERR_GRPC_UNIMPLEMENTED:
		return true;
	default:
		return false;
	}
}

int gpu_client_release(struct gpu_client *client, const char *allocation_id, struct err *err)
{
	Hypeman__Gpu__V1__DeleteAllocationRequest request =
		HYPEMAN__GPU__V1__DELETE_ALLOCATION_REQUEST__INIT;
	ProtobufCMessage *answer;

	request.allocation_id = TEXT(allocation_id);
	if (gpu_client_call(client, "DeleteAllocation", &request.base, &answer, err) < 0)
		return err->reason == ERR_ALLOCATION_NOT_FOUND ? 0 : -1;
	protobuf_c_message_free_unpacked(answer, NULL);
	return 0;
}

/* One page. *token is replaced by the next one. */
static int list_page(struct gpu_client *client, unsigned page_size, char **token,
		     gpu_client_visitor visitor, void *user, struct err *err)
{
	Hypeman__Gpu__V1__ListAllocationsRequest request =
		HYPEMAN__GPU__V1__LIST_ALLOCATIONS_REQUEST__INIT;
	const Hypeman__Gpu__V1__ListAllocationsResponse *page;
	ProtobufCMessage *answer;
	int r = 0;

	request.page_size = page_size;
	if (*token)
		request.page_token = *token;
	if (gpu_client_call(client, "ListAllocations", &request.base, &answer, err) < 0)
		return -1;
	page = (const Hypeman__Gpu__V1__ListAllocationsResponse *)answer;
	for (size_t i = 0; visitor && r == 0 && i < page->n_allocations; i++)
		r = visitor(user, page->allocations[i]->id, page->allocations[i]->request_id, err);
	free(*token);
	*token = strdup(page->next_page_token);
	if (r == 0 && !*token)
		r = err_sys(err, ENOMEM, "cannot list the GPUs we hold");
	protobuf_c_message_free_unpacked(answer, NULL);
	return r;
}

int gpu_client_check(struct gpu_client *client, struct err *err)
{
	scoped_free char *token = NULL;

	return list_page(client, 1, &token, NULL, NULL, err);
}

int gpu_client_list(struct gpu_client *client, gpu_client_visitor visitor, void *user,
		    struct err *err)
{
	scoped_free char *token = NULL;

	do {
		if (list_page(client, 0, &token, visitor, user, err) < 0)
			return -1;
	} while (*token);
	return 0;
}
