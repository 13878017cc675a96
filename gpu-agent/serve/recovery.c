/* SPDX-License-Identifier: Apache-2.0 */
#include "recovery.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "common/log.h"
#include "release.h"

enum recovery_action recovery_decide(enum allocation_state state, enum presence device, bool quiet)
{
	if (device == PRESENCE_UNKNOWN)
		return RECOVERY_KEEP;
	switch (state) {
	case ALLOCATION_CREATING:
		if (device == PRESENCE_PRESENT)
			return RECOVERY_UNDO;
		return quiet ? RECOVERY_FORGET : RECOVERY_KEEP;
	case ALLOCATION_READY:
		return device == PRESENCE_PRESENT ? RECOVERY_KEEP : RECOVERY_CLOSE;
	case ALLOCATION_RELEASING:
		return device == PRESENCE_PRESENT ? RECOVERY_RELEASE : RECOVERY_CLOSE;
	case ALLOCATION_CLOSED:
		return device == PRESENCE_PRESENT ? RECOVERY_RELEASE : RECOVERY_KEEP;
	case ALLOCATION_UNDONE:
		return device == PRESENCE_PRESENT ? RECOVERY_UNDO : RECOVERY_KEEP;
	}
	return RECOVERY_KEEP;
}

/* ---- Devices that came late --------------------------------------------------------- */

struct uuid_text {
	char s[OPS_UUID_SIZE];
};

/* Devices that root made and that no live record names. Count, or -ENOMEM; caller frees. */
static int collect_unclaimed(struct agent *agent, struct uuid_text **ret)
{
	struct uuid_text *uuids = NULL;
	size_t count = 0;

	pthread_mutex_lock(&agent->lock);
	uuids = calloc(agent->inventory->vgpu_count + agent->functions->binding_count + 1,
		       sizeof(*uuids));
	for (size_t i = 0; uuids && i < agent->inventory->vgpu_count; i++) {
		const struct inventory_vgpu *vgpu = &agent->inventory->vgpus[i];

		if (vgpu->in_journal && !lease_find_locked(agent, vgpu->uuid) &&
		    !agent->inventory->gpus[agent->inventory->slots[vgpu->slot].gpu].suspect)
			memcpy(uuids[count++].s, vgpu->uuid, sizeof(vgpu->uuid));
	}
	for (size_t i = 0; uuids && i < agent->functions->binding_count; i++) {
		const struct op_binding *binding = &agent->functions->bindings[i];

		if (agent->scans_published < agent->bindings_from)
			break; /* seen before our last restore, maybe */
		if (!lease_find_locked(agent, binding->uuid))
			memcpy(uuids[count++].s, binding->uuid, sizeof(binding->uuid));
	}
	pthread_mutex_unlock(&agent->lock);
	*ret = uuids;
	return uuids ? (int)count : -ENOMEM;
}

/* Makes a live lease of an ended record whose device appeared after all. */
static void adopt(struct agent *agent, struct allocation *row)
{
	struct lease *lease = NULL;

	row->state = row->state == ALLOCATION_UNDONE ? ALLOCATION_CREATING : ALLOCATION_RELEASING;
	pthread_mutex_lock(&agent->lock);
	if ((inventory_find_vgpu(agent->inventory, row->id) ||
	     functions_binding(agent->functions, row->id)) &&
	    !lease_find_locked(agent, row->id))
		lease = lease_add_locked(agent, row);
	if (lease) {
		lease_end_locked(agent, lease);
		lease->judged_from = agent->scans_published;
	}
	pthread_mutex_unlock(&agent->lock);
	if (lease)
		log_warning("the device of ended allocation %s exists, removing it", row->id);
}

static void adopt_late_devices(struct agent *agent)
{
	scoped_free struct uuid_text *uuids = NULL;
	int count = collect_unclaimed(agent, &uuids);

	for (int i = 0; i < count; i++) {
		struct allocation row;
		struct err err;

		if (records_find(agent->records, uuids[i].s, &row, &err) > 0 &&
		    (row.state == ALLOCATION_CLOSED || row.state == ALLOCATION_UNDONE))
			adopt(agent, &row);
	}
}

/* ---- Leases ------------------------------------------------------------------------- */

/* Bindings come from root's journal, whole with each scan. */
static enum recovery_action decide_device(const struct agent *agent, const struct lease *lease)
{
	const struct allocation *allocation = &lease->allocation;
	const struct op_binding *binding = functions_binding(agent->functions, allocation->id);

	if (allocation->state == ALLOCATION_READY && binding && !binding->is_bound)
		return RECOVERY_RELEASE; /* somebody took a function of it away, or a reboot did */
	return recovery_decide(allocation->state, binding ? PRESENCE_PRESENT : PRESENCE_ABSENT,
			       lease_is_quiet_locked(agent, lease));
}

static enum recovery_action decide(const struct agent *agent, const struct lease *lease)
{
	const struct allocation *allocation = &lease->allocation;

	if (allocation->kind == ALLOCATION_DEVICE)
		return decide_device(agent, lease);
	return recovery_decide(
		allocation->state,
		inventory_presence(agent->inventory, allocation->id, allocation->slot),
		lease_is_quiet_locked(agent, lease));
}

/* The next lease to act on, made busy; NULL: none is left. */
static struct lease *take_next_locked(struct agent *agent, uint64_t *after,
				      enum recovery_action *ret_action)
{
	for (size_t i = 0; i < agent->lease_count; i++) {
		struct lease *lease = agent->leases[i];

		if (lease->allocation.sequence <= *after || lease->busy ||
		    lease->judged_from > agent->scans_published ||
		    inventory_is_suspect(agent->inventory, lease->allocation.gpu))
			continue;
		*after = lease->allocation.sequence;
		*ret_action = decide(agent, lease);
		/* Another worker would only join the one that is stuck in the same removal. */
		if (*ret_action == RECOVERY_RELEASE && lease->unsettled &&
		    !lease_is_quiet_locked(agent, lease))
			continue;
		if (*ret_action == RECOVERY_KEEP)
			continue;
		lease_start_locked(lease);
		return lease;
	}
	return NULL;
}

static void close_record(struct agent *agent, struct lease *take_lease)
{
	const struct allocation *allocation = &take_lease->allocation;

	if (allocation->state == ALLOCATION_READY)
		log_warning("allocation %s (%s on %s) of %s is gone: %s", allocation->id,
			    allocation->profile, PCI_STR(allocation->slot), allocation->principal,
			    strcmp(allocation->boot_id, agent->boot_id) == 0
				    ? "somebody removed its device"
				    : "the machine was restarted");
	pthread_mutex_lock(&agent->lock);
	take_lease->allocation.state = ALLOCATION_RELEASING;
	pthread_mutex_unlock(&agent->lock);
	release_forget(agent, take_lease);
}

/* Says why an allocation could not be released, once, not after each scan. */
static void complain(struct agent *agent, const struct allocation *allocation,
		     const struct err *err)
{
	struct lease *lease;
	bool news = false;

	pthread_mutex_lock(&agent->lock);
	lease = lease_find_locked(agent, allocation->id);
	if (lease) {
		news = strcmp(lease->complaint, err->message) != 0;
		strcpy(lease->complaint, err->message);
	}
	pthread_mutex_unlock(&agent->lock);
	if (news)
		log_warning("%s, trying again after each scan", err->message);
}

static void act(struct agent *agent, struct lease *take_lease, enum recovery_action action)
{
	struct allocation allocation = take_lease->allocation;
	struct err err;

	switch (action) {
	case RECOVERY_UNDO:
		if (release_undo(agent, take_lease, 0, &err))
			complain(agent, &allocation, &err);
		break;
	case RECOVERY_RELEASE:
		if (release_close(agent, take_lease, 0, &err))
			complain(agent, &allocation, &err);
		break;
	case RECOVERY_FORGET:
		log_info("allocation %s of %s was never created, forgetting it", allocation.id,
			 allocation.principal);
		release_forget(agent, take_lease);
		break;
	case RECOVERY_CLOSE:
		close_record(agent, take_lease);
		break;
	case RECOVERY_KEEP:
		break;
	}
}

static bool is_ready(struct agent *agent)
{
	bool ready;

	pthread_mutex_lock(&agent->lock);
	ready = agent->inventory && agent->functions;
	pthread_mutex_unlock(&agent->lock);
	return ready;
}

void recovery_run(struct agent *agent)
{
	uint64_t after = 0;

	if (!is_ready(agent))
		return;
	adopt_late_devices(agent);
	for (;;) {
		enum recovery_action action = RECOVERY_KEEP;
		struct lease *lease;

		pthread_mutex_lock(&agent->lock);
		lease = agent->stopping ? NULL : take_next_locked(agent, &after, &action);
		pthread_mutex_unlock(&agent->lock);
		if (!lease)
			return;
		act(agent, lease, action);
	}
}

/* Waits for a scan that has not been judged. False: the end. */
static bool wait_for_scan(struct agent *agent, uint64_t *judged)
{
	bool stopping;

	pthread_mutex_lock(&agent->lock);
	while (!agent->stopping && agent->scans_published == *judged)
		(void)agent_wait_locked(agent, clock_monotonic_ms() + agent->options.rescan_ms);
	*judged = agent->scans_published;
	stopping = agent->stopping;
	pthread_mutex_unlock(&agent->lock);
	return !stopping;
}

void *recovery_thread(void *argument)
{
	struct agent *agent = argument;
	uint64_t judged = 0;

	while (wait_for_scan(agent, &judged))
		recovery_run(agent);
	return NULL;
}
