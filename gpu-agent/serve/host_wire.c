/* SPDX-License-Identifier: Apache-2.0 */
#include "host_wire.h"

#include <errno.h>
#include <stdlib.h>

#include "hypeman/gpu/v1/gpu_service.pb-c.h"

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
