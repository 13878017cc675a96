/* SPDX-License-Identifier: Apache-2.0 */
#include "host_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"

/* GetHost's messages; each array is owned. */
/* One message each, with what it points at. */
struct wire_gpu {
	struct pci_addr_text address;
	char vendor_id[sizeof("10de")], device_id[sizeof("26b9")];
};

struct wire_condition {
	Hypeman__Gpu__V1__SlotCondition message;
	Google__Protobuf__Timestamp since;
	struct pci_addr_text address;
};

struct wire_host {
	Hypeman__Gpu__V1__GetHostResponse response;
	Hypeman__Gpu__V1__GpuStatus status;
	Hypeman__Gpu__V1__GpuProfile *profiles, **profile_pointers;
	Hypeman__Gpu__V1__GpuDevice *devices, **device_pointers;
	Hypeman__Gpu__V1__PhysicalGpu *gpus, **gpu_pointers;
	struct wire_gpu *gpu_texts;
	struct wire_condition *conditions;
	Hypeman__Gpu__V1__SlotCondition **condition_pointers; /* those of one GPU lie together */
};

static void wire_host_done(struct wire_host *wire)
{
	free(wire->profiles);
	free(wire->profile_pointers);
	free(wire->devices);
	free(wire->device_pointers);
	free(wire->gpus);
	free(wire->gpu_pointers);
	free(wire->gpu_texts);
	free(wire->conditions);
	free(wire->condition_pointers);
}

static int wire_host_init(struct wire_host *wire, const struct host_view *view)
{
	size_t profiles = view->profile_count + 1, gpus = view->gpu_count + 1;
	size_t conditions = view->condition_count + 1;

	*wire = (struct wire_host){
		.response = HYPEMAN__GPU__V1__GET_HOST_RESPONSE__INIT,
		.status = HYPEMAN__GPU__V1__GPU_STATUS__INIT,
		.profiles = calloc(profiles, sizeof(*wire->profiles)),
		.profile_pointers = calloc(profiles, sizeof(*wire->profile_pointers)),
		.devices = calloc(gpus, sizeof(*wire->devices)),
		.device_pointers = calloc(gpus, sizeof(*wire->device_pointers)),
		.gpus = calloc(gpus, sizeof(*wire->gpus)),
		.gpu_pointers = calloc(gpus, sizeof(*wire->gpu_pointers)),
		.gpu_texts = calloc(gpus, sizeof(*wire->gpu_texts)),
		.conditions = calloc(conditions, sizeof(*wire->conditions)),
		.condition_pointers = calloc(conditions, sizeof(*wire->condition_pointers)),
	};
	if (wire->profiles && wire->profile_pointers && wire->devices && wire->device_pointers &&
	    wire->gpus && wire->gpu_pointers && wire->gpu_texts && wire->conditions &&
	    wire->condition_pointers)
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
	case FRAMEWORK_UNKNOWN:
		break;
	case FRAMEWORK_MDEV:
		return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_MDEV;
	case FRAMEWORK_VENDOR_VFIO:
		return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_VENDOR_VFIO;
	case FRAMEWORK_PASSTHROUGH:
		return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_PASSTHROUGH;
	}
	return HYPEMAN__GPU__V1__PHYSICAL_GPU__FRAMEWORK__FRAMEWORK_UNSPECIFIED;
}

static Hypeman__Gpu__V1__SlotCondition__State condition_kind_to_wire(enum slot_condition_kind kind)
{
	switch (kind) {
	case SLOT_CORDONED:
		return HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_CORDONED;
	case SLOT_QUARANTINED:
		return HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_QUARANTINED;
	case SLOT_WEDGED:
		return HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_WEDGED;
	case SLOT_DRAINING:
		return HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_DRAINING;
	}
	return HYPEMAN__GPU__V1__SLOT_CONDITION__STATE__STATE_UNSPECIFIED;
}

static void condition_to_wire(struct slot_condition *condition, struct wire_condition *wire)
{
	hypeman__gpu__v1__slot_condition__init(&wire->message);
	google__protobuf__timestamp__init(&wire->since);
	wire->address = pci_addr_text(condition->slot);
	wire->since.seconds = condition->since_ms / 1000;
	wire->since.nanos = (int32_t)(condition->since_ms % 1000 * 1000000);
	wire->message.pci_address = wire->address.s;
	wire->message.state = condition_kind_to_wire(condition->kind);
	wire->message.reason = condition->reason;
	wire->message.since = &wire->since;
}

/* Those of one GPU, into the pointers from *used on. */
static void conditions_to_wire(struct host_view *view, size_t gpu, struct wire_host *wire,
			       size_t *used)
{
	Hypeman__Gpu__V1__SlotCondition **first = &wire->condition_pointers[*used];
	size_t count = 0;

	for (size_t i = 0; i < view->condition_count; i++) {
		if (view->conditions[i].gpu != gpu)
			continue;
		condition_to_wire(&view->conditions[i], &wire->conditions[i]);
		first[count++] = &wire->conditions[i].message;
	}
	wire->gpus[gpu].n_conditions = count;
	wire->gpus[gpu].conditions = first;
	*used += count;
}

static void gpu_texts_to_wire(const struct view_gpu *view, struct wire_gpu *texts,
			      Hypeman__Gpu__V1__PhysicalGpu *gpu)
{
	texts->address = pci_addr_text(view->address);
	snprintf(texts->vendor_id, sizeof(texts->vendor_id), "%04x", view->vendor);
	snprintf(texts->device_id, sizeof(texts->device_id), "%04x", view->device);
	gpu->pci_address = texts->address.s;
	gpu->vendor_id = texts->vendor_id;
	gpu->device_id = texts->device_id;
}

static void gpus_to_wire(struct host_view *view, struct wire_host *wire)
{
	size_t conditions = 0;

	for (size_t i = 0; i < view->gpu_count; i++) {
		Hypeman__Gpu__V1__PhysicalGpu *gpu = &wire->gpus[i];

		hypeman__gpu__v1__physical_gpu__init(gpu);
		gpu_texts_to_wire(&view->gpus[i], &wire->gpu_texts[i], gpu);
		conditions_to_wire(view, i, wire, &conditions);
		gpu->name = view->gpus[i].name;
		gpu->driver = view->gpus[i].driver;
		if (view->gpus[i].iommu_group != OPS_NO_GROUP)
			gpu->iommu_group = view->gpus[i].iommu_group;
		gpu->framework = framework_to_wire(view->gpus[i].framework);
		gpu->numa_node = view->gpus[i].numa_node;
		gpu->total_slots = view->gpus[i].total_slots;
		gpu->used_slots = view->gpus[i].used_slots;
		gpu->locked_framebuffer_mb = view->gpus[i].locked_framebuffer_mb;
		gpu->reason = view->gpus[i].reason;
		gpu->suspect = view->gpus[i].suspect;
		wire->gpu_pointers[i] = gpu;
	}
	wire->response.n_physical_gpus = view->gpu_count;
	wire->response.physical_gpus = wire->gpu_pointers;
}

static int host_to_wire(struct host_view *view, const struct wire_roots *roots,
			struct wire_host *wire, struct err *err)
{
	if (wire_host_init(wire, view))
		return err_sys(err, ENOMEM, "cannot describe the host");
	wire->response.generation = view->generation;
	wire->response.simulated = roots->simulated;
	gpus_to_wire(view, wire);
	if (view->mode == HOST_MODE_NONE)
		return 0;
	profiles_to_wire(view, wire);
	devices_to_wire(view, wire);
	wire->status.mode = view->mode == HOST_MODE_VGPU
				    ? HYPEMAN__GPU__V1__GPU_MODE__GPU_MODE_VGPU
				    : HYPEMAN__GPU__V1__GPU_MODE__GPU_MODE_PASSTHROUGH;
	wire->status.total_slots = view->total_slots;
	wire->status.used_slots = view->used_slots;
	wire->response.gpu = &wire->status;
	return 0;
}

int host_reply(struct rpc_call *call, struct host_view *view, const struct wire_roots *roots,
	       struct err *err)
{
	struct wire_host wire;

	if (host_to_wire(view, roots, &wire, err))
		return -1;
	(void)rpc_call_send(call, &wire.response.base); /* the caller may have gone */
	wire_host_done(&wire);
	return 0;
}

int host_send(struct rpc_call *call, struct host_view *view, const struct wire_roots *roots,
	      struct err *err)
{
	Hypeman__Gpu__V1__WatchHostResponse response = HYPEMAN__GPU__V1__WATCH_HOST_RESPONSE__INIT;
	struct wire_host wire;
	int r;

	if (host_to_wire(view, roots, &wire, err))
		return -1;
	response.host = &wire.response;
	r = rpc_call_send(call, &response.base);
	wire_host_done(&wire);
	return r < 0 ? err_set(err, ERR_CANCELLED, "the caller has gone") : 0;
}
