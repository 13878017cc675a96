/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance holds of gpu-agent: its vGPU and its whole devices. Each has a request id
 * in the record from before the agent is asked until the agent has it back, so that nothing
 * is held twice or forgotten, wherever this process was killed.
 */
#include <stdio.h>
#include <string.h>

#include "instances_internal.h"
#include "log_file.h"

static bool is_vgpu(const struct spec *spec, uint32_t number)
{
	return spec->gpu_profile && number == 0;
}

/* How the spec names it. */
static const char *wished_device(const struct spec *spec, uint32_t number)
{
	return spec->devices[number - (spec->gpu_profile ? 1 : 0)];
}

void instance_plan_holds_locked(struct instance *instance)
{
	struct record *record = &instance->record;

	record->hold_count = spec_hold_count(instance->spec);
	for (uint32_t i = 0; i < record->hold_count; i++)
		record->holds[i] = (struct hold){ .request = uuid_new() };
}

bool instance_holds_any(const struct record *record)
{
	for (uint32_t i = 0; i < record->hold_count; i++)
		if (record->holds[i].request.s[0])
			return true;
	return false;
}

static struct hold read_hold(struct instance *instance, uint32_t number)
{
	SCOPED_INSTANCES_LOCK(instance->all);

	return instance->record.holds[number];
}

static void note(const struct instance *instance, const char *what, const struct gpu_lease *lease)
{
	scoped_fd int logs =
		layout_open_logs(&instance->all->options.host->layout, &instance->record.id);

	if (logs >= 0)
		log_event(logs, "%s %s at %s%s", what,
			  lease->profile[0] ? lease->profile : "the device", lease->pci_address,
			  lease->simulated ? " (simulated: the VM gets a stand-in)" : "");
}

/*
 * The agent's name for the device, recorded before it is asked: the same request must always
 * name it in the same way.
 */
static int find_device(struct instance *instance, uint32_t number, struct hold *hold,
		       struct err *err)
{
	struct instances *all = instance->all;

	if (is_vgpu(instance->spec, number) || hold->device[0])
		return 0;
	if (gpu_client_find_device(all->options.gpu, wished_device(instance->spec, number),
				   hold->device, sizeof(hold->device), err) < 0)
		return -1;
	SCOPED_INSTANCES_LOCK(all);
	memcpy(instance->record.holds[number].device, hold->device, sizeof(hold->device));
	return records_update(all->options.records, &instance->record, err);
}

static int take_hold(struct instance *instance, uint32_t number, struct err *err)
{
	const struct instances_options *options = &instance->all->options;
	struct hold hold = read_hold(instance, number);
	struct gpu_wish wish = { 0 };
	struct gpu_lease lease;
	char owner[64];

	if (hold.lease.id.s[0])
		return 0;
	if (find_device(instance, number, &hold, err) < 0)
		return -1;
	if (is_vgpu(instance->spec, number))
		wish.profile = instance->spec->gpu_profile;
	else
		wish.device = hold.device;
	snprintf(owner, sizeof(owner), "instance %s", instance->record.id.s);
	if (gpu_client_reserve(options->gpu, hold.request.s, owner, &wish,
			       host_gid(options->host, instance->record.slot), &lease, err) < 0)
		return -1;

	SCOPED_INSTANCES_LOCK(instance->all);
	instance->record.holds[number].lease = lease;
	instance_tell_gpu(instance, EVENT_GPU_ALLOCATED, &lease);
	note(instance, "reserved", &lease);
	return 0;
}

/* Refused: there is nothing to look for at the agent. */
static void forget_request(struct instance *instance, uint32_t number)
{
	SCOPED_INSTANCES_LOCK(instance->all);

	instance->record.holds[number].request.s[0] = '\0';
}

int instance_take_holds(struct instance *instance, struct err *err)
{
	uint32_t count = spec_hold_count(instance->spec);

	for (uint32_t i = 0; i < count; i++) {
		if (take_hold(instance, i, err) == 0)
			continue;
		/* Those behind it were not asked for either. */
		for (uint32_t j = i; gpu_client_was_refused(err) && j < count; j++)
			forget_request(instance, j);
		return -1;
	}
	return 0;
}

/* ---- Giving back ---- */

struct search {
	const char *request_id;
	struct uuid_text found;
};

static int match_request(void *user, const char *allocation_id, const char *request_id,
			 struct err *err)
{
	struct search *search = user;

	(void)err;
	if (strcmp(request_id, search->request_id) == 0 && uuid_is_valid(allocation_id))
		snprintf(search->found.s, sizeof(search->found.s), "%s", allocation_id);
	return 0;
}

/* A reservation whose answer was lost is found by its request. */
static int give_back(struct instance *instance, const struct hold *hold, struct err *err)
{
	struct gpu_client *gpu = instance->all->options.gpu;
	struct search search = { .request_id = hold->request.s, .found = hold->lease.id };

	if (!search.found.s[0] && gpu_client_list(gpu, match_request, &search, err) < 0)
		return -1;
	return search.found.s[0] ? gpu_client_release(gpu, search.found.s, err) : 0;
}

/* What it was stays, to be shown. */
static void forget_hold(struct instance *instance, uint32_t number)
{
	SCOPED_INSTANCES_LOCK(instance->all);
	struct hold *hold = &instance->record.holds[number];
	struct gpu_lease *lease = &hold->lease;

	if (lease->id.s[0]) {
		note(instance, "gave back", lease);
		instance_tell_gpu(instance, EVENT_GPU_RELEASED, lease);
	}
	lease->id.s[0] = '\0';
	lease->mdev_uuid.s[0] = '\0';
	lease->pci_address[0] = '\0';
	lease->device_node[0] = '\0';
	lease->sysfs_path[0] = '\0';
	lease->function_count = 0;
	hold->request.s[0] = '\0';
	hold->device[0] = '\0';
	instance_commit_locked(instance);
}

int instance_give_holds_back(struct instance *instance, struct err *err)
{
	uint32_t count = spec_hold_count(instance->spec);
	int r = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct hold hold = read_hold(instance, i);

		if (!hold.request.s[0])
			continue;
		if (give_back(instance, &hold, err) == 0)
			forget_hold(instance, i);
		else
			r = -1; /* the others are not kept back for it */
	}
	return r;
}
