/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu_wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uuid/uuid.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "profile_name.h"

#define LIST_MAX 1000

/* ---- Requests ----------------------------------------------------------------------- */

static int check_uuid(const char *field, const char *text, char ret[OPS_UUID_SIZE], struct err *err)
{
	uuid_t uuid;

	if (strlen(text) != OPS_UUID_SIZE - 1 || uuid_parse(text, uuid))
		return err_field(err, field, "%s is '%s', must be a UUID", field, text);
	uuid_unparse_lower(uuid, ret);
	return 0;
}

int create_request_from_wire(const ProtobufCMessage *message, const char *principal,
			     struct create_request *ret, struct err *err)
{
	const Hypeman__Gpu__V1__CreateAllocationRequest *wire = (const void *)message;
	struct create_request request = { .grant_gid = wire->grant_gid };
	const char *profile;

	if (check_uuid("request_id", wire->request_id, request.request_id, err))
		return -1;
	if (strlen(wire->owner) >= sizeof(request.owner))
		return err_field(err, "owner", "owner has %zu bytes, must have at most %zu",
				 strlen(wire->owner), sizeof(request.owner) - 1);
	if (!wire->vgpu || !wire->vgpu->profile[0])
		return err_field(err, "vgpu.profile",
				 "vgpu.profile is missing, must name a profile that GetHost lists");
	profile = profile_short_name(wire->vgpu->profile);
	if (strlen(profile) >= sizeof(request.profile))
		return err_field(err, "vgpu.profile",
				 "vgpu.profile has %zu bytes, must have at most %zu",
				 strlen(profile), sizeof(request.profile) - 1);
	if (wire->grant_gid == 0 || wire->grant_gid == UINT32_MAX)
		return err_field(err, "grant_gid",
				 "grant_gid is %" PRIu32
				 ", must be a group of the setting grant-gids",
				 wire->grant_gid);
	strcpy(request.principal, principal);
	strcpy(request.owner, wire->owner);
	strcpy(request.profile, profile);
	*ret = request;
	return 0;
}

int delete_request_from_wire(const ProtobufCMessage *message, char ret_id[OPS_UUID_SIZE],
			     struct err *err)
{
	const Hypeman__Gpu__V1__DeleteAllocationRequest *wire = (const void *)message;

	return check_uuid("allocation_id", wire->allocation_id, ret_id, err);
}

int list_request_from_wire(const ProtobufCMessage *message, size_t *ret_max, uint64_t *ret_after,
			   struct err *err)
{
	const Hypeman__Gpu__V1__ListAllocationsRequest *wire = (const void *)message;
	const char *token = wire->page_token;

	if (wire->page_size > LIST_MAX)
		return err_field(err, "page_size", "page_size is %" PRIu32 ", must be at most %d",
				 wire->page_size, LIST_MAX);
	if (strspn(token, "0123456789") != strlen(token) || strlen(token) > 19)
		return err_field(err, "page_token",
				 "page_token is '%s', must be a next_page_token of this service",
				 token);
	*ret_max = wire->page_size ? wire->page_size : LIST_MAX;
	*ret_after = strtoull(token, NULL, 10);
	return 0;
}

/* ---- Allocations -------------------------------------------------------------------- */

/* A message with what it points at. */
struct wire_allocation {
	Hypeman__Gpu__V1__Allocation message;
	Google__Protobuf__Timestamp create_time;
	struct pci_addr_text slot, gpu;
	char device_node[512];
	char sysfs_path[512];
};

static Hypeman__Gpu__V1__Allocation__State state_to_wire(enum allocation_state state)
{
	switch (state) {
	case ALLOCATION_CREATING:
		return HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_CREATING;
	case ALLOCATION_READY:
		return HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_READY;
	case ALLOCATION_RELEASING:
		return HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_RELEASING;
	case ALLOCATION_CLOSED:
	case ALLOCATION_UNDONE:
		break;
	}
	return HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_UNSPECIFIED;
}

static void allocation_to_wire(struct allocation *allocation, const struct wire_roots *roots,
			       struct wire_allocation *ret)
{
	*ret = (struct wire_allocation){
		.message = HYPEMAN__GPU__V1__ALLOCATION__INIT,
		.create_time = GOOGLE__PROTOBUF__TIMESTAMP__INIT,
		.slot = pci_addr_text(allocation->slot),
		.gpu = pci_addr_text(allocation->gpu),
	};
	ret->message.id = allocation->id;
	ret->message.request_id = allocation->request_id;
	ret->message.owner = allocation->owner;
	ret->message.state = state_to_wire(allocation->state);
	ret->message.profile = allocation->profile;
	if (allocation->framebuffer_mb > 0)
		ret->message.framebuffer_mb = (uint32_t)allocation->framebuffer_mb;
	ret->message.mdev_uuid = allocation->id;
	ret->message.pci_address = ret->slot.s;
	ret->message.gpu_pci_address = ret->gpu.s;
	ret->message.numa_node = allocation->numa_node;
	ret->message.simulated = roots->simulated;
	ret->create_time.seconds = allocation->create_time_ms / 1000;
	ret->create_time.nanos = (int32_t)(allocation->create_time_ms % 1000 * 1000000);
	ret->message.create_time = &ret->create_time;
	if (allocation->iommu_group == OPS_NO_GROUP)
		return; /* no device yet, so no paths to it */
	snprintf(ret->device_node, sizeof(ret->device_node), "%s/vfio/%" PRIu32, roots->dev,
		 allocation->iommu_group);
	snprintf(ret->sysfs_path, sizeof(ret->sysfs_path), "%s/bus/mdev/devices/%s", roots->sysfs,
		 allocation->id);
	ret->message.iommu_group = allocation->iommu_group;
	ret->message.device_node = ret->device_node;
	ret->message.sysfs_path = ret->sysfs_path;
}

/* The caller has gone: what was done stays done, there is only nobody to tell. */
static int reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)rpc_call_send(call, message);
	return 0;
}

int create_reply(struct rpc_call *call, struct allocation *allocation,
		 const struct wire_roots *roots)
{
	Hypeman__Gpu__V1__CreateAllocationResponse response =
		HYPEMAN__GPU__V1__CREATE_ALLOCATION_RESPONSE__INIT;
	struct wire_allocation wire;

	allocation_to_wire(allocation, roots, &wire);
	response.allocation = &wire.message;
	return reply(call, &response.base);
}

int delete_reply(struct rpc_call *call)
{
	const Hypeman__Gpu__V1__DeleteAllocationResponse response =
		HYPEMAN__GPU__V1__DELETE_ALLOCATION_RESPONSE__INIT;

	return reply(call, &response.base);
}

int list_reply(struct rpc_call *call, struct allocation *allocations, size_t count, bool more,
	       const struct wire_roots *roots, struct err *err)
{
	Hypeman__Gpu__V1__ListAllocationsResponse response =
		HYPEMAN__GPU__V1__LIST_ALLOCATIONS_RESPONSE__INIT;
	scoped_free struct wire_allocation *wires = calloc(count + 1, sizeof(*wires));
	scoped_free Hypeman__Gpu__V1__Allocation **messages = calloc(count + 1, sizeof(*messages));
	char token[24];

	if (!wires || !messages)
		return err_sys(err, ENOMEM, "cannot list the allocations");
	for (size_t i = 0; i < count; i++) {
		allocation_to_wire(&allocations[i], roots, &wires[i]);
		messages[i] = &wires[i].message;
	}
	response.n_allocations = count;
	response.allocations = messages;
	if (more && count) {
		snprintf(token, sizeof(token), "%" PRIu64, allocations[count - 1].sequence);
		response.next_page_token = token;
	}
	return reply(call, &response.base);
}

/* ---- The host ----------------------------------------------------------------------- */

/* GetHost's messages; each array is owned. */
struct wire_host {
	Hypeman__Gpu__V1__GetHostResponse response;
	Hypeman__Gpu__V1__GpuStatus status;
	Hypeman__Gpu__V1__GpuProfile *profiles, **profile_pointers;
	Hypeman__Gpu__V1__GpuDevice *devices, **device_pointers;
	Hypeman__Gpu__V1__PhysicalGpu *gpus, **gpu_pointers;
	struct pci_addr_text *addresses;
};

static void wire_host_done(struct wire_host *wire)
{
	free(wire->profiles);
	free(wire->profile_pointers);
	free(wire->devices);
	free(wire->device_pointers);
	free(wire->gpus);
	free(wire->gpu_pointers);
	free(wire->addresses);
}

static int wire_host_init(struct wire_host *wire, const struct host_view *view)
{
	size_t profiles = view->profile_count + 1, gpus = view->gpu_count + 1;

	*wire = (struct wire_host){
		.response = HYPEMAN__GPU__V1__GET_HOST_RESPONSE__INIT,
		.status = HYPEMAN__GPU__V1__GPU_STATUS__INIT,
		.profiles = calloc(profiles, sizeof(*wire->profiles)),
		.profile_pointers = calloc(profiles, sizeof(*wire->profile_pointers)),
		.devices = calloc(gpus, sizeof(*wire->devices)),
		.device_pointers = calloc(gpus, sizeof(*wire->device_pointers)),
		.gpus = calloc(gpus, sizeof(*wire->gpus)),
		.gpu_pointers = calloc(gpus, sizeof(*wire->gpu_pointers)),
		.addresses = calloc(gpus, sizeof(*wire->addresses)),
	};
	if (wire->profiles && wire->profile_pointers && wire->devices && wire->device_pointers &&
	    wire->gpus && wire->gpu_pointers && wire->addresses)
		return 0;
	wire_host_done(wire);
	return -ENOMEM;
}

static void profiles_to_wire(struct host_view *view, struct wire_host *wire)
{
	for (size_t i = 0; i < view->profile_count; i++) {
		Hypeman__Gpu__V1__GpuProfile *profile = &wire->profiles[i];

		hypeman__gpu__v1__gpu_profile__init(profile);
		profile->name = view->profiles[i].name;
		profile->framebuffer_mb = view->profiles[i].framebuffer_mb;
		profile->available = view->profiles[i].available;
		wire->profile_pointers[i] = profile;
	}
	wire->status.n_profiles = view->profile_count;
	wire->status.profiles = wire->profile_pointers;
}

static void devices_to_wire(struct host_view *view, struct wire_host *wire)
{
	size_t count = 0;

	for (size_t i = 0; i < view->gpu_count; i++) {
		Hypeman__Gpu__V1__GpuDevice *device = &wire->devices[count];

		if (view->gpus[i].framework != FRAMEWORK_PASSTHROUGH || view->gpus[i].barred)
			continue;
		hypeman__gpu__v1__gpu_device__init(device);
		device->name = view->gpus[i].name;
		device->available = view->gpus[i].available;
		wire->device_pointers[count++] = device;
	}
	wire->status.n_devices = count;
	wire->status.devices = wire->device_pointers;
}

static Hypeman__Gpu__V1__PhysicalGpu__Framework framework_to_wire(enum framework framework)
{
	switch (framework) {
	case FRAMEWORK_MDEV:
		return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_MDEV;
	case FRAMEWORK_VENDOR_VFIO:
		return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_VENDOR_VFIO;
	case FRAMEWORK_PASSTHROUGH:
		return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_PASSTHROUGH;
	}
	return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_UNSPECIFIED;
}

static void gpus_to_wire(struct host_view *view, struct wire_host *wire)
{
	for (size_t i = 0; i < view->gpu_count; i++) {
		Hypeman__Gpu__V1__PhysicalGpu *gpu = &wire->gpus[i];

		hypeman__gpu__v1__physical_gpu__init(gpu);
		wire->addresses[i] = pci_addr_text(view->gpus[i].address);
		gpu->pci_address = wire->addresses[i].s;
		gpu->name = view->gpus[i].name;
		gpu->framework = framework_to_wire(view->gpus[i].framework);
		gpu->numa_node = view->gpus[i].numa_node;
		gpu->total_slots = view->gpus[i].total_slots;
		gpu->used_slots = view->gpus[i].used_slots;
		gpu->locked_framebuffer_mb = view->gpus[i].locked_framebuffer_mb;
		gpu->reason = view->gpus[i].reason;
		wire->gpu_pointers[i] = gpu;
	}
	wire->response.n_physical_gpus = view->gpu_count;
	wire->response.physical_gpus = wire->gpu_pointers;
}

int host_reply(struct rpc_call *call, struct host_view *view, const struct wire_roots *roots,
	       struct err *err)
{
	struct wire_host wire;
	int r;

	if (wire_host_init(&wire, view))
		return err_sys(err, ENOMEM, "cannot describe the host");
	wire.response.generation = view->generation;
	wire.response.simulated = roots->simulated;
	gpus_to_wire(view, &wire);
	if (view->mode != HOST_MODE_NONE) {
		profiles_to_wire(view, &wire);
		devices_to_wire(view, &wire);
		wire.status.mode = view->mode == HOST_MODE_VGPU
					   ? HYPEMAN__GPU__V1__GPU_MODE__GPU_MODE_VGPU
					   : HYPEMAN__GPU__V1__GPU_MODE__GPU_MODE_PASSTHROUGH;
		wire.status.total_slots = view->total_slots;
		wire.status.used_slots = view->used_slots;
		wire.response.gpu = &wire.status;
	}
	r = reply(call, &wire.response.base);
	wire_host_done(&wire);
	return r;
}
