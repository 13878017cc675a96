/* SPDX-License-Identifier: Apache-2.0 */
#include "create.h"

#include <string.h>

#include "common/log.h"
#include "operation.h"
#include "passthrough_allocate.h"
#include "quarantine.h"
#include "release.h"

/* A whole GPU is no slot. */
static void blame_slot(struct agent *agent, const struct allocation *allocation,
		       const struct outcome *outcome)
{
	if (allocation->kind != ALLOCATION_DEVICE)
		quarantine_judge(agent, allocation->slot, outcome->result.message);
}

/* The kernel may still make the device: the slot stays taken until a scan tells. */
static enum create_step leave_unsettled(struct agent *agent, struct lease *lease,
					const struct outcome *outcome, struct err *err)
{
	err_set(err, ERR_DEVICE_NOT_RESPONDING,
		"creating a %s on %s: %s; the slot is set aside until a scan tells what became of vGPU %s",
		lease->allocation.profile, PCI_STR(lease->allocation.slot), outcome->result.message,
		lease->allocation.id);
	blame_slot(agent, &lease->allocation, outcome);
	pthread_mutex_lock(&agent->lock);
	lease->unsettled = true;
	lease_end_locked(agent, lease);
	(void)agent_request_scan_locked(agent, 0);
	pthread_mutex_unlock(&agent->lock);
	return CREATE_FAILED;
}

/* The worker says that no device of ours exists. */
static enum create_step forget_create(struct agent *agent, struct lease *lease,
				      const struct outcome *outcome, struct err *err)
{
	const char *message = outcome->result.message;
	uint32_t status = outcome->result.status;
	struct pci_addr slot = lease->allocation.slot;
	bool refused = outcome->kind == OUTCOME_ANSWERED && status == OP_KERNEL;

	if (lease->allocation.kind == ALLOCATION_DEVICE) {
		passthrough_explain(&lease->allocation, outcome, err);
		release_forget(agent, lease);
		return CREATE_FAILED;
	}
	if (outcome->kind == OUTCOME_NOT_STARTED)
		err_set(err, ERR_UNAVAILABLE, "cannot create a %s now: %s",
			lease->allocation.profile, message);
	else if (status == OP_REFUSED || refused)
		err_set(err, ERR_FAILED_PRECONDITION, "cannot create a %s on %s: %s",
			lease->allocation.profile, PCI_STR(slot), message);
	else
		err_set(err, ERR_INTERNAL, "cannot create a %s on %s: %s",
			lease->allocation.profile, PCI_STR(slot), message);
	release_forget(agent, lease);
	if (refused)
		quarantine_judge(agent, slot, message);
	if (refused ||
	    (outcome->kind == OUTCOME_ANSWERED && (status == OP_NOT_FOUND || status == OP_EXISTS)))
		return CREATE_RETRY;
	return CREATE_FAILED;
}

/* Whether the worker described the device that it made; its group, if it has one of its own. */
static bool find_created(const struct outcome *outcome, const struct allocation *allocation,
			 uint32_t *ret_group)
{
	for (size_t i = 0; i < outcome->record_count; i++) {
		const struct op_record *record = &outcome->records[i];

		if (record->kind == OP_RECORD_MDEV &&
		    strcmp(record->mdev.uuid, allocation->id) == 0) {
			*ret_group = record->mdev.iommu_group;
			return true;
		}
		if (record->kind == OP_RECORD_BINDING &&
		    strcmp(record->binding.uuid, allocation->id) == 0) {
			*ret_group = record->binding.iommu_group;
			return true;
		}
		if (record->kind == OP_RECORD_VENDOR_VF &&
		    strcmp(record->vendor_vf.uuid, allocation->id) == 0) {
			*ret_group = OPS_NO_GROUP;
			return true;
		}
	}
	return false;
}

static void keep_bound(struct agent *agent, struct lease *lease, uint32_t group)
{
	pthread_mutex_lock(&agent->lock);
	lease->allocation.iommu_group = group;
	passthrough_record_change_locked(agent, &lease->allocation, true);
	pthread_mutex_unlock(&agent->lock);
}

/* A vendor's vGPU is in the group of its virtual function. */
static void keep_created(struct agent *agent, struct lease *lease, uint32_t group)
{
	struct op_mdev vgpu;
	size_t slot;

	pthread_mutex_lock(&agent->lock);
	slot = inventory_find_slot(agent->inventory, lease->allocation.slot);
	if (lease->allocation.kind == ALLOCATION_VENDOR && slot != INVENTORY_NONE)
		group = agent->inventory->slots[slot].iommu_group;
	lease->allocation.iommu_group = group;
	vgpu = operation_vgpu(&lease->allocation);
	agent_record_change_locked(agent, true, &vgpu);
	pthread_mutex_unlock(&agent->lock);
	quarantine_judge(agent, vgpu.parent, NULL);
}

static enum create_step undo_create(struct agent *agent, struct lease *take_lease)
{
	struct err err;

	(void)release_undo(agent, take_lease, 0, &err); /* else recovery goes on with it */
	return CREATE_FAILED;
}

static enum create_step create_device(struct agent *agent, struct lease *lease, int64_t deadline_ms,
				      struct err *err)
{
	scoped(outcome_done) struct outcome outcome = { 0 };
	uint32_t group;

	operation_run(agent, operation_to_create(&lease->allocation), &lease->allocation,
		      deadline_ms, &outcome);
	if (outcome.kind == OUTCOME_UNKNOWN)
		return leave_unsettled(agent, lease, &outcome, err);
	if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_UNVERIFIED) {
		err_set(err, ERR_INTERNAL, "cannot create a %s on %s: %s",
			lease->allocation.profile, PCI_STR(lease->allocation.slot),
			outcome.result.message);
		blame_slot(agent, &lease->allocation, &outcome);
		return undo_create(agent, lease);
	}
	if (outcome.kind != OUTCOME_ANSWERED || outcome.result.status != OP_OK)
		return forget_create(agent, lease, &outcome, err);
	if (!find_created(&outcome, &lease->allocation, &group)) {
		err_set(err, ERR_INTERNAL, "the worker created vGPU %s but did not describe it",
			lease->allocation.id);
		return undo_create(agent, lease);
	}
	if (lease->allocation.kind == ALLOCATION_DEVICE)
		keep_bound(agent, lease, group);
	else
		keep_created(agent, lease, group);
	return CREATE_DONE;
}

static enum create_step grant_device(struct agent *agent, struct lease *lease, int64_t deadline_ms,
				     struct err *err)
{
	scoped(outcome_done) struct outcome outcome = { 0 };

	operation_run(agent, OP_GRANT_NODE, &lease->allocation, deadline_ms, &outcome);
	if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_OK)
		return CREATE_DONE;
	if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_REFUSED)
		err_field(err, "grant_gid", "grant_gid is %u: %s", lease->allocation.grant_gid,
			  outcome.result.message);
	else
		err_set(err, ERR_DEVICE_NOT_RESPONDING, "cannot grant the node of a new %s: %s",
			lease->allocation.profile, outcome.result.message);
	return undo_create(agent, lease);
}

static enum create_step commit(struct agent *agent, struct lease *lease, struct allocation *ret,
			       struct err *err)
{
	if (records_set_state(agent->records, &lease->allocation, ALLOCATION_READY, err))
		return undo_create(agent, lease);
	pthread_mutex_lock(&agent->lock);
	lease->allocation.state = ALLOCATION_READY;
	*ret = lease->allocation;
	passthrough_complete_locked(agent, ret);
	lease_end_locked(agent, lease);
	pthread_mutex_unlock(&agent->lock);
	log_info("allocated %s (%s on %s) to %s for '%s'", ret->id, ret->profile,
		 PCI_STR(ret->slot), ret->principal, ret->owner);
	return CREATE_DONE;
}

enum create_step create_run(struct agent *agent, struct lease *take_lease, int64_t deadline_ms,
			    struct allocation *ret, struct err *err)
{
	enum create_step step;

	/* 1: the intent. From here on a crash leaves something that recovery finds. */
	if (records_add(agent->records, &take_lease->allocation, err)) {
		pthread_mutex_lock(&agent->lock);
		lease_drop_locked(agent, take_lease);
		pthread_mutex_unlock(&agent->lock);
		return CREATE_FAILED;
	}
	/* 2: the device, verified by the worker. A failed step has disposed of the lease. */
	step = create_device(agent, take_lease, deadline_ms, err);
	/* 3: its node, for the one group that asked. */
	if (step == CREATE_DONE)
		step = grant_device(agent, take_lease, deadline_ms, err);
	/* 4: it counts. */
	if (step == CREATE_DONE)
		step = commit(agent, take_lease, ret, err);
	return step;
}
