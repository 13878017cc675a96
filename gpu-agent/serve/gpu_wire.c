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

#define LIST_MAX      1000
#define SYNC_MAX      4096
#define PCI_FUNCTIONS 8 /* of one slot */

/* ---- Requests ----------------------------------------------------------------------- */

static int check_uuid(const char *field, const char *text, char ret[OPS_UUID_SIZE], struct err *err)
{
	uuid_t uuid;

	if (strlen(text) != OPS_UUID_SIZE - 1 || uuid_parse(text, uuid))
		return err_field(err, field, "%s is '%s', must be a UUID", field, text);
	uuid_unparse_lower(uuid, ret);
	return 0;
}

static int wish_from_wire(const Hypeman__Gpu__V1__VgpuRequest *wire, struct placement_wish *ret,
			  struct err *err)
{
	*ret = (struct placement_wish){ 0 };
	switch (wire->placement) {
	case HYPEMAN__GPU__V1__VGPU_REQUEST__PLACEMENT__PLACEMENT_UNSPECIFIED:
	case HYPEMAN__GPU__V1__VGPU_REQUEST__PLACEMENT__PLACEMENT_PACK:
		break;
	case HYPEMAN__GPU__V1__VGPU_REQUEST__PLACEMENT__PLACEMENT_SPREAD:
		ret->spread = true;
		break;
	default: /* an enum of the wire holds any number */
		return err_field(err, "vgpu.placement",
				 "vgpu.placement is %d, must be PLACEMENT_PACK or PLACEMENT_SPREAD",
				 (int)wire->placement);
	}
	if (wire->numa_node_opt_case != HYPEMAN__GPU__V1__VGPU_REQUEST__NUMA_NODE_OPT_NUMA_NODE)
		return 0;
	if (wire->numa_node > INT32_MAX)
		return err_field(err, "vgpu.numa_node",
				 "vgpu.numa_node is %" PRIu32 ", must be at most %d",
				 wire->numa_node, INT32_MAX);
	ret->has_node = true;
	ret->numa_node = (int32_t)wire->numa_node;
	return 0;
}

static int vgpu_from_wire(const Hypeman__Gpu__V1__VgpuRequest *wire, struct create_request *request,
			  struct err *err)
{
	const char *profile;

	if (!wire || !wire->profile[0])
		return err_field(
			err, "vgpu.profile",
			"vgpu.profile is missing, must name a profile that GetHost lists (or device a registered device)");
	profile = profile_short_name(wire->profile);
	if (strlen(profile) >= sizeof(request->profile))
		return err_field(err, "vgpu.profile",
				 "vgpu.profile has %zu bytes, must have at most %zu",
				 strlen(profile), sizeof(request->profile) - 1);
	strcpy(request->profile, profile);
	return wish_from_wire(wire, &request->wish, err);
}

static int device_from_wire(const Hypeman__Gpu__V1__CreateAllocationRequest *wire,
			    struct create_request *request, struct err *err)
{
	const char *device = wire->device->device;

	if (wire->vgpu)
		return err_field(err, "device",
				 "vgpu and device are both set, must be one of them");
	if (!device[0])
		return err_field(
			err, "device.device",
			"device.device is missing, must be the id or name of a device that ListDevices lists");
	if (strlen(device) >= sizeof(request->device))
		return err_field(err, "device.device",
				 "device.device has %zu bytes, must have at most %zu",
				 strlen(device), sizeof(request->device) - 1);
	strcpy(request->device, device);
	return 0;
}

int create_request_from_wire(const ProtobufCMessage *message, const char *principal,
			     struct create_request *ret, struct err *err)
{
	const Hypeman__Gpu__V1__CreateAllocationRequest *wire = (const void *)message;
	struct create_request request = { .grant_gid = wire->grant_gid };

	if (check_uuid("request_id", wire->request_id, request.request_id, err))
		return -1;
	if (strlen(wire->owner) >= sizeof(request.owner))
		return err_field(err, "owner", "owner has %zu bytes, must have at most %zu",
				 strlen(wire->owner), sizeof(request.owner) - 1);
	if (wire->device ? device_from_wire(wire, &request, err)
			 : vgpu_from_wire(wire->vgpu, &request, err))
		return -1;
	if (wire->grant_gid == 0 || wire->grant_gid == UINT32_MAX)
		return err_field(err, "grant_gid",
				 "grant_gid is %" PRIu32
				 ", must be a group of the setting grant-gids",
				 wire->grant_gid);
	strcpy(request.principal, principal);
	strcpy(request.owner, wire->owner);
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

static int check_sync_ids(const Hypeman__Gpu__V1__SyncAllocationsRequest *wire, struct err *err)
{
	if (wire->n_allocation_ids > SYNC_MAX)
		return err_field(err, "allocation_ids",
				 "allocation_ids has %zu entries, must have at most %d",
				 wire->n_allocation_ids, SYNC_MAX);
	if (wire->n_allocation_ids == 0 && !wire->knows_nothing)
		return err_field(
			err, "knows_nothing",
			"allocation_ids is empty, which releases everything: set knows_nothing if that is meant");
	if (wire->n_allocation_ids > 0 && wire->knows_nothing)
		return err_field(err, "knows_nothing",
				 "knows_nothing is set, but allocation_ids has %zu entries",
				 wire->n_allocation_ids);
	return 0;
}

int sync_request_from_wire(const ProtobufCMessage *message, const char *principal,
			   struct sync_request *ret, struct err *err)
{
	const Hypeman__Gpu__V1__SyncAllocationsRequest *wire = (const void *)message;
	scoped(sync_request_done) struct sync_request request = { .revision = wire->revision };

	if (check_sync_ids(wire, err))
		return -1;
	request.claimed = calloc(wire->n_allocation_ids + 1, sizeof(*request.claimed));
	if (!request.claimed)
		return err_sys(err, ENOMEM, "cannot read the claim");
	for (size_t i = 0; i < wire->n_allocation_ids; i++)
		if (check_uuid("allocation_ids", wire->allocation_ids[i], request.claimed[i].s,
			       err))
			return -1;
	request.claimed_count = wire->n_allocation_ids;
	strcpy(request.principal, principal);
	*ret = request;
	request.claimed = NULL;
	return 0;
}

static int check_address(const char *text, struct pci_addr *ret, struct err *err)
{
	if (pci_addr_parse(text, ret))
		return err_field(err, "pci_address",
				 "pci_address is '%s', must be like 0000:41:00.4", text);
	return 0;
}

int cordon_request_from_wire(const ProtobufCMessage *message, struct pci_addr *ret_slot,
			     const char **ret_reason, struct err *err)
{
	const Hypeman__Gpu__V1__CordonSlotRequest *wire = (const void *)message;

	if (!wire->reason[0])
		return err_field(err, "reason", "reason is missing, must say why");
	if (strlen(wire->reason) >= REGISTRY_REASON_MAX)
		return err_field(err, "reason", "reason has %zu bytes, must have at most %d",
				 strlen(wire->reason), REGISTRY_REASON_MAX - 1);
	*ret_reason = wire->reason;
	return check_address(wire->pci_address, ret_slot, err);
}

int uncordon_request_from_wire(const ProtobufCMessage *message, struct pci_addr *ret_slot,
			       struct err *err)
{
	const Hypeman__Gpu__V1__UncordonSlotRequest *wire = (const void *)message;

	return check_address(wire->pci_address, ret_slot, err);
}

/* ---- Allocations -------------------------------------------------------------------- */

/* A message with what it points at. */
struct wire_allocation {
	Hypeman__Gpu__V1__Allocation message;
	Google__Protobuf__Timestamp create_time;
	struct pci_addr_text slot, gpu;
	char device_node[512];
	char sysfs_path[512];
	struct pci_addr_text functions[PCI_FUNCTIONS];
	char *function_pointers[PCI_FUNCTIONS];
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

/* The GPU itself comes first. */
static void add_function(struct wire_allocation *wire, struct pci_addr address)
{
	size_t i = wire->message.n_pci_functions++;

	wire->functions[i] = pci_addr_text(address);
	wire->function_pointers[i] = wire->functions[i].s;
}

static void device_to_wire(struct allocation *allocation, struct wire_allocation *wire)
{
	struct pci_addr address = allocation->slot;

	add_function(wire, address);
	for (uint8_t i = 0; i < PCI_FUNCTIONS; i++) {
		address.function = i;
		if (i != allocation->slot.function && allocation->functions & 1u << i)
			add_function(wire, address);
	}
	wire->message.pci_functions = wire->function_pointers;
	wire->message.device_id = allocation->type;
	wire->message.reset_note = allocation->reset_note;
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
	if (allocation->kind == ALLOCATION_DEVICE)
		device_to_wire(allocation, ret);
	else
		ret->message.profile = allocation->profile;
	if (allocation->framebuffer_mb > 0)
		ret->message.framebuffer_mb = (uint32_t)allocation->framebuffer_mb;
	if (allocation->kind == ALLOCATION_MDEV)
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
	if (allocation->kind == ALLOCATION_MDEV)
		snprintf(ret->sysfs_path, sizeof(ret->sysfs_path), "%s/bus/mdev/devices/%s",
			 roots->sysfs, allocation->id);
	else
		snprintf(ret->sysfs_path, sizeof(ret->sysfs_path), "%s/bus/pci/devices/%s",
			 roots->sysfs, ret->slot.s);
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
	       uint64_t revision, const struct wire_roots *roots, struct err *err)
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
	response.revision = revision;
	if (more && count) {
		snprintf(token, sizeof(token), "%" PRIu64, allocations[count - 1].sequence);
		response.next_page_token = token;
	}
	return reply(call, &response.base);
}

/* Pointers into the ids, owned; NULL: out of memory. */
static char **ids_to_wire(struct sync_ids *ids)
{
	char **wire = calloc(ids->count + 1, sizeof(*wire));

	for (size_t i = 0; wire && i < ids->count; i++)
		wire[i] = ids->ids[i].s;
	return wire;
}

int sync_reply(struct rpc_call *call, struct sync_result *result, struct err *err)
{
	Hypeman__Gpu__V1__SyncAllocationsResponse response =
		HYPEMAN__GPU__V1__SYNC_ALLOCATIONS_RESPONSE__INIT;
	scoped_free char **released = ids_to_wire(&result->released);
	scoped_free char **in_use = ids_to_wire(&result->in_use);
	scoped_free char **missing = ids_to_wire(&result->missing);

	if (!released || !in_use || !missing)
		return err_sys(err, ENOMEM, "cannot tell what was released");
	response.n_released_ids = result->released.count;
	response.released_ids = released;
	response.n_in_use_ids = result->in_use.count;
	response.in_use_ids = in_use;
	response.n_missing_ids = result->missing.count;
	response.missing_ids = missing;
	return reply(call, &response.base);
}

int cordon_reply(struct rpc_call *call)
{
	const Hypeman__Gpu__V1__CordonSlotResponse response =
		HYPEMAN__GPU__V1__CORDON_SLOT_RESPONSE__INIT;

	return reply(call, &response.base);
}

int uncordon_reply(struct rpc_call *call)
{
	const Hypeman__Gpu__V1__UncordonSlotResponse response =
		HYPEMAN__GPU__V1__UNCORDON_SLOT_RESPONSE__INIT;

	return reply(call, &response.base);
}
