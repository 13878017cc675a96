/* SPDX-License-Identifier: Apache-2.0 */
#include "instance_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rate.h"
#include "size.h"
#include "strv.h"
#include "wire.h"

typedef Hypeman__Instance__V1__Instance wire_instance;
typedef Hypeman__Instance__V1__InstanceDevice wire_device;
typedef Hypeman__Instance__V1__InstanceGpu wire_gpu;
typedef Hypeman__Instance__V1__Instance__EnvEntry wire_env;
typedef Hypeman__Instance__V1__GetResourcesResponse wire_resources;
typedef Hypeman__Instance__V1__ResourceAllocation wire_allocation;

/* Left unset for 0. */
static bool set_time(Google__Protobuf__Timestamp **field, int64_t ms)
{
	return ms == 0 || wire_set_time(field, ms);
}

static bool add_env(wire_instance *wire, const char *entry)
{
	wire_env *env = malloc(sizeof(*env));

	if (!env)
		return false;
	hypeman__instance__v1__instance__env_entry__init(env);
	wire->env[wire->n_env++] = env;
	return wire_set_pair(&env->key, &env->value, entry);
}

static bool set_env(wire_instance *wire, char *const *env)
{
	size_t count = strv_length(env);

	if (count == 0)
		return true;
	wire->env = calloc(count, sizeof(*wire->env));
	for (size_t i = 0; wire->env && i < count; i++)
		if (!add_env(wire, env[i]))
			return false;
	return wire->env != NULL;
}

static bool set_rate(char **field, uint64_t bps)
{
	return bps == 0 || wire_set_text(field, RATE_STR(bps));
}

static bool set_network(wire_instance *wire, const struct spec *spec)
{
	wire->network = malloc(sizeof(*wire->network));
	if (!wire->network)
		return false;
	hypeman__instance__v1__instance_network__init(wire->network);
	wire->network->enabled = spec->network;
	return set_rate(&wire->network->bandwidth_download, spec->download_bps) &&
	       set_rate(&wire->network->bandwidth_upload, spec->upload_bps);
}

static bool set_volumes(wire_instance *wire, const struct spec *spec)
{
	if (spec->volume_count == 0)
		return true;
	wire->volumes = calloc(spec->volume_count, sizeof(*wire->volumes));
	for (size_t i = 0; wire->volumes && i < spec->volume_count; i++) {
		Hypeman__Instance__V1__VolumeMount *mount = malloc(sizeof(*mount));

		if (!mount)
			return false;
		hypeman__instance__v1__volume_mount__init(mount);
		wire->volumes[wire->n_volumes++] = mount;
		mount->readonly = spec->volumes[i].read_only;
		if (!wire_set_text(&mount->volume_id, spec->volumes[i].id) ||
		    !wire_set_text(&mount->mount_path, spec->volumes[i].path))
			return false;
	}
	return wire->volumes != NULL;
}

/* The profile is what was asked for; the rest is there while the GPU is held. */
static bool set_gpu(wire_gpu **field, const struct record *record, const struct spec *spec)
{
	const struct gpu_lease *lease = &record->holds[0].lease;
	wire_gpu *gpu;

	if (!spec->gpu_profile)
		return true;
	gpu = malloc(sizeof(*gpu));
	if (!gpu)
		return false;
	hypeman__instance__v1__instance_gpu__init(gpu);
	*field = gpu;
	gpu->framebuffer_mb = lease->framebuffer_mb;
	gpu->simulated = lease->simulated;
	if (!wire_set_text(&gpu->profile, lease->profile[0] ? lease->profile : spec->gpu_profile))
		return false;
	if (!lease->id.s[0])
		return true;
	if (lease->mdev_uuid.s[0]) {
		if (!wire_set_text(&gpu->mdev_uuid, lease->mdev_uuid.s))
			return false;
		gpu->mdev_uuid_opt_case =
			HYPEMAN__INSTANCE__V1__INSTANCE_GPU__MDEV_UUID_OPT_MDEV_UUID;
	}
	if (!wire_set_text(&gpu->pci_address, lease->pci_address))
		return false;
	gpu->pci_address_opt_case =
		HYPEMAN__INSTANCE__V1__INSTANCE_GPU__PCI_ADDRESS_OPT_PCI_ADDRESS;
	return true;
}

/* Named as they were asked for; the rest is there while they are held. */
static bool add_device(wire_device **list, const char *name, const struct hold *hold)
{
	wire_device *device = malloc(sizeof(*device));

	if (!device)
		return false;
	*list = device;
	hypeman__instance__v1__instance_device__init(device);
	if (!wire_set_text(&device->name, name) ||
	    !wire_set_text(&device->id, hold->lease.device_id.s))
		return false;
	if (!hold->lease.id.s[0])
		return true;
	if (!wire_set_text(&device->pci_address, hold->lease.pci_address))
		return false;
	device->pci_address_opt_case =
		HYPEMAN__INSTANCE__V1__INSTANCE_DEVICE__PCI_ADDRESS_OPT_PCI_ADDRESS;
	return true;
}

/* `held`: only those that are held. */
static bool set_devices(wire_device ***ret, size_t *ret_count, const struct record *record,
			const struct spec *spec, bool held)
{
	size_t count = strv_length(spec->devices), first = spec->gpu_profile ? 1 : 0;

	if (count == 0)
		return true;
	*ret = calloc(count, sizeof(**ret));
	for (size_t i = 0; *ret && i < count; i++) {
		const struct hold *hold = &record->holds[first + i];

		if (held && !hold->lease.id.s[0])
			continue;
		if (!add_device(&(*ret)[(*ret_count)++], spec->devices[i], hold))
			return false;
	}
	return *ret != NULL;
}

/* Left empty for 0. */
static bool set_size(char **field, uint64_t bytes)
{
	return bytes == 0 || wire_set_text(field, SIZE_STR(bytes));
}

static bool set_machine(wire_instance *wire, const struct record *record, const struct spec *spec)
{
	wire->vcpus = spec->vcpus;
	wire->autostart = spec->autostart;
	wire->has_snapshot = record->snapshot_bytes > 0 && record->state != STATE_RUNNING &&
			     record->state != STATE_PAUSED;
	return wire_set_text(&wire->size, SIZE_STR(spec->memory_bytes)) &&
	       wire_set_text(&wire->overlay_size, SIZE_STR(spec->overlay_bytes)) &&
	       set_size(&wire->hotplug_size, spec->hotplug_bytes) &&
	       set_size(&wire->disk_io_bps, spec->disk_io_bps) &&
	       wire_set_text(&wire->hypervisor, "qemu") &&
	       wire_set_text(&wire->kernel, kernels_release(record->kernel).s) &&
	       set_devices(&wire->devices, &wire->n_devices, record, spec, false);
}

static bool set_end(wire_instance *wire, const struct record *record)
{
	if (record->state_error[0]) {
		if (!wire_set_text(&wire->state_error, record->state_error))
			return false;
		wire->state_error_opt_case =
			HYPEMAN__INSTANCE__V1__INSTANCE__STATE_ERROR_OPT_STATE_ERROR;
	}
	if (!record->has_exit_code)
		return true;
	wire->exit_code = record->exit_code;
	wire->exit_code_opt_case = HYPEMAN__INSTANCE__V1__INSTANCE__EXIT_CODE_OPT_EXIT_CODE;
	if (!wire_set_text(&wire->exit_message, record->exit_message))
		return false;
	wire->exit_message_opt_case =
		HYPEMAN__INSTANCE__V1__INSTANCE__EXIT_MESSAGE_OPT_EXIT_MESSAGE;
	return true;
}

wire_instance *instance_to_wire(const struct record *record, const struct spec *spec)
{
	wire_instance *wire = malloc(sizeof(*wire));

	if (!wire)
		return NULL;
	hypeman__instance__v1__instance__init(wire);
	wire->state = (Hypeman__Instance__V1__InstanceState)record->state;
	if (wire_set_text(&wire->id, record->id.s) && wire_set_text(&wire->name, spec->name) &&
	    wire_set_text(&wire->principal, record->principal) &&
	    wire_set_text(&wire->image, spec->image) && set_machine(wire, record, spec) &&
	    set_env(wire, spec->env) && set_network(wire, spec) && set_volumes(wire, spec) &&
	    set_gpu(&wire->gpu, record, spec) && set_time(&wire->created_at, record->created_ms) &&
	    set_time(&wire->started_at, record->started_ms) &&
	    set_time(&wire->stopped_at, record->stopped_ms) && set_end(wire, record))
		return wire;
	protobuf_c_message_free_unpacked(&wire->base, NULL);
	return NULL;
}

static bool set_resource(Hypeman__Instance__V1__Resource **field, enum resource_kind kind,
			 const struct resource *resource)
{
	Hypeman__Instance__V1__Resource *wire = malloc(sizeof(*wire));

	if (!wire)
		return false;
	hypeman__instance__v1__resource__init(wire);
	*field = wire;
	wire->capacity = resource->capacity;
	wire->effective_limit = resource->limit;
	wire->allocated = resource->allocated;
	wire->available = resource->limit - resource->allocated;
	if (wire->available < 0)
		wire->available = 0;
	wire->oversub_ratio = resource->oversubscription / 100.0;
	return wire_set_text(&wire->type, resource_name(kind)) &&
	       wire_set_text(&wire->source, resource->source);
}

wire_resources *resources_to_wire(const struct resources *resources)
{
	const struct resource *kind = resources->kind;
	wire_resources *wire = malloc(sizeof(*wire));

	if (!wire)
		return NULL;
	hypeman__instance__v1__get_resources_response__init(wire);
	if (set_resource(&wire->cpu, RESOURCE_CPU, &kind[RESOURCE_CPU]) &&
	    set_resource(&wire->memory, RESOURCE_MEMORY, &kind[RESOURCE_MEMORY]) &&
	    set_resource(&wire->disk, RESOURCE_DISK, &kind[RESOURCE_DISK]) &&
	    set_resource(&wire->network, RESOURCE_NETWORK, &kind[RESOURCE_NETWORK])) {
		wire->disk_breakdown = malloc(sizeof(*wire->disk_breakdown));
		if (wire->disk_breakdown) {
			hypeman__instance__v1__disk_breakdown__init(wire->disk_breakdown);
			return wire;
		}
	}
	protobuf_c_message_free_unpacked(&wire->base, NULL);
	return NULL;
}

int resources_wire_add(wire_resources *wire, const struct record *record, const struct spec *spec)
{
	wire_allocation **list =
		realloc(wire->allocations, (wire->n_allocations + 1) * sizeof(*list));
	bool runs = state_holds_resources(record->state);
	wire_allocation *allocation;

	if (!list)
		return -ENOMEM;
	wire->allocations = list;
	allocation = malloc(sizeof(*allocation));
	if (!allocation)
		return -ENOMEM;
	hypeman__instance__v1__resource_allocation__init(allocation);
	list[wire->n_allocations++] = allocation;
	allocation->cpu = runs ? spec->vcpus : 0;
	allocation->memory_bytes = runs ? (int64_t)spec->memory_bytes : 0;
	allocation->disk_bytes = (int64_t)(spec->overlay_bytes + record->snapshot_bytes);
	allocation->network_download_bps = runs ? (int64_t)spec->download_bps : 0;
	allocation->network_upload_bps = runs ? (int64_t)spec->upload_bps : 0;
	if (!wire_set_text(&allocation->instance_id, record->id.s) ||
	    !wire_set_text(&allocation->instance_name, spec->name))
		return -ENOMEM;
	if (record->holds[0].lease.id.s[0] && !set_gpu(&allocation->gpu, record, spec))
		return -ENOMEM;
	return set_devices(&allocation->devices, &allocation->n_devices, record, spec, true)
		       ? 0
		       : -ENOMEM;
}
