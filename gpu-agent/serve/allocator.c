/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <uuid/uuid.h>

#include "clock.h"
#include "common/log.h"
#include "operation.h"
#include "placement.h"
#include "release.h"

#define ATTEMPTS_MAX	  3    /* each on another slot, after a look at what changed */
#define FRESH_SCAN_MAX_MS 3000 /* how long to wait for that look */
#define LATE_RELEASE_MS	  10000

/* ---- Asked before? ------------------------------------------------------------------ */

static int check_same(const struct allocation *allocation, const struct create_request *request,
		      struct err *err)
{
	if (strcmp(allocation->owner, request->owner) == 0 &&
	    strcmp(allocation->profile, request->profile) == 0 &&
	    allocation->grant_gid == request->grant_gid)
		return 0;
	err_set(err, ERR_REQUEST_ID_REUSED,
		"request_id %s was used for profile %s, owner '%s', grant_gid %u",
		request->request_id, allocation->profile, allocation->owner, allocation->grant_gid);
	return -1;
}

static int refuse_deleted(const struct create_request *request, struct err *err)
{
	return err_set(err, ERR_ALLOCATION_DELETED,
		       "the allocation of request_id %s has been deleted, use a new request_id",
		       request->request_id);
}

/* 1: *ret answers the request. 0: it is a new one. */
static int answer_known_locked(struct agent *agent, const struct create_request *request,
			       int64_t deadline_ms, struct allocation *ret, struct err *err)
{
	struct lease *lease;

	while ((lease = lease_find_request_locked(agent, request->principal,
						  request->request_id)) &&
	       lease->busy)
		if (!agent_wait_locked(agent, deadline_ms) &&
		    (agent->stopping || clock_monotonic_ms() >= deadline_ms))
			return err_set(err, ERR_DEVICE_NOT_RESPONDING,
				       "an earlier call with request_id %s is still at work",
				       request->request_id);
	if (!lease)
		return 0;
	if (check_same(&lease->allocation, request, err))
		return -1;
	if (lease->allocation.state == ALLOCATION_RELEASING)
		return refuse_deleted(request, err);
	if (lease->allocation.state == ALLOCATION_CREATING)
		return err_set(
			err, ERR_DEVICE_NOT_RESPONDING,
			"the outcome of an earlier call with request_id %s is not known yet: the kernel has not answered on %s",
			request->request_id, PCI_STR(lease->allocation.slot));
	*ret = lease->allocation;
	return 1;
}

/* A row whose allocation is not live any more. */
static int check_not_deleted(struct agent *agent, const struct create_request *request,
			     struct err *err)
{
	struct allocation row;
	bool live;
	int r = records_find_request(agent->records, request->principal, request->request_id, &row,
				     err);

	if (r <= 0)
		return r;
	pthread_mutex_lock(&agent->lock);
	live = lease_find_locked(agent, row.id) != NULL;
	pthread_mutex_unlock(&agent->lock);
	if (live)
		return 0;
	if (check_same(&row, request, err))
		return -1;
	return refuse_deleted(request, err);
}

/* ---- Deciding ----------------------------------------------------------------------- */

static void fill_allocation(struct agent *agent, const struct create_request *request,
			    const struct placement *placement, struct allocation *allocation)
{
	const struct inventory *inventory = agent->inventory;
	const struct inventory_slot *slot = &inventory->slots[placement->slot];
	uuid_t uuid;

	*allocation = (struct allocation){
		.sequence = ++agent->last_sequence,
		.state = ALLOCATION_CREATING,
		.framebuffer_mb = inventory->profiles[placement->offer->profile].framebuffer_mb,
		.slot = slot->address,
		.gpu = inventory->gpus[placement->gpu].address,
		.numa_node = slot->numa_node,
		.iommu_group = OPS_NO_GROUP,
		.grant_gid = request->grant_gid,
		.create_time_ms = clock_realtime_ms(),
	};
	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, allocation->id);
	strcpy(allocation->request_id, request->request_id);
	strcpy(allocation->principal, request->principal);
	strcpy(allocation->owner, request->owner);
	strcpy(allocation->profile, request->profile);
	strcpy(allocation->type, placement->offer->type);
	strcpy(allocation->boot_id, agent->boot_id);
}

static int refuse_unknown(const struct inventory *inventory, const char *profile, struct err *err)
{
	size_t used;

	err_set(err, ERR_UNKNOWN_PROFILE, "vgpu.profile is '%s', %s", profile,
		inventory->profile_count ? "this host has:" : "this host has no vGPU profiles");
	for (size_t i = 0; i < inventory->profile_count; i++) {
		used = strlen(err->message);
		snprintf(err->message + used, sizeof(err->message) - used, "%s %s", i ? "," : "",
			 inventory->profiles[i].name);
	}
	strcpy(err->field, "vgpu.profile");
	return -1;
}

/* Chooses a slot and holds it: from here on everybody sees it as used. */
static struct lease *reserve_locked(struct agent *agent, const struct create_request *request,
				    struct err *err)
{
	struct capacity_scope scope;
	struct allocation allocation;
	struct placement placement;
	struct lease *lease = NULL;
	size_t profile;

	if (!agent->inventory) {
		err_set(err, ERR_INVENTORY_NOT_READY,
			"the first scan of this host's GPUs has not ended yet");
		return NULL;
	}
	profile = inventory_find_profile(agent->inventory, request->profile);
	if (profile == INVENTORY_NONE) {
		refuse_unknown(agent->inventory, request->profile, err);
		return NULL;
	}
	if (agent_capacity_locked(agent, &scope)) {
		err_sys(err, ENOMEM, "cannot choose a GPU");
		return NULL;
	}
	if (placement_choose(&scope.capacity, profile, &placement, err) == 0) {
		fill_allocation(agent, request, &placement, &allocation);
		lease = lease_add_locked(agent, &allocation);
		if (!lease)
			err_sys(err, ENOMEM, "cannot keep the allocation");
	}
	capacity_scope_done(&scope);
	return lease;
}

/* 1: answered from what is known. 0: *ret_lease is a new, busy lease. */
static int begin(struct agent *agent, const struct create_request *request, int64_t deadline_ms,
		 struct allocation *ret, struct lease **ret_lease, struct err *err)
{
	int r;

	pthread_mutex_lock(&agent->lock);
	r = answer_known_locked(agent, request, deadline_ms, ret, err);
	if (r == 0) {
		*ret_lease = reserve_locked(agent, request, err);
		r = *ret_lease ? 0 : -1;
	}
	pthread_mutex_unlock(&agent->lock);
	return r;
}

/* ---- Acting ------------------------------------------------------------------------- */

enum step {
	STEP_DONE,
	STEP_RETRY,  /* undone; another slot may do */
	STEP_FAILED, /* undone, or left to recovery; *err is the answer */
};

static void judge_slot(struct agent *agent, struct pci_addr slot, bool failed)
{
	pthread_mutex_lock(&agent->lock);
	agent_judge_slot_locked(agent, slot, failed);
	pthread_mutex_unlock(&agent->lock);
}

/* The kernel may still make the device: the slot stays taken until a scan tells. */
static enum step leave_unsettled(struct agent *agent, struct lease *lease,
				 const struct outcome *outcome, struct err *err)
{
	err_set(err, ERR_DEVICE_NOT_RESPONDING,
		"creating a %s on %s: %s; the slot is set aside until a scan tells what became of mdev %s",
		lease->allocation.profile, PCI_STR(lease->allocation.slot), outcome->result.message,
		lease->allocation.id);
	pthread_mutex_lock(&agent->lock);
	lease->unsettled = true;
	lease_end_locked(agent, lease);
	(void)agent_request_scan_locked(agent, 0);
	pthread_mutex_unlock(&agent->lock);
	return STEP_FAILED;
}

/* The worker says that no device of ours exists. */
static enum step forget_create(struct agent *agent, struct lease *lease,
			       const struct outcome *outcome, struct err *err)
{
	const char *message = outcome->result.message;
	uint32_t status = outcome->result.status;
	struct pci_addr slot = lease->allocation.slot;
	bool refused = outcome->kind == OUTCOME_ANSWERED && status == OP_KERNEL;

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
		judge_slot(agent, slot, true);
	if (refused ||
	    (outcome->kind == OUTCOME_ANSWERED && (status == OP_NOT_FOUND || status == OP_EXISTS)))
		return STEP_RETRY;
	return STEP_FAILED;
}

static const struct op_mdev *created_mdev(const struct outcome *outcome,
					  const struct allocation *allocation)
{
	for (size_t i = 0; i < outcome->record_count; i++)
		if (outcome->records[i].kind == OP_RECORD_MDEV &&
		    strcmp(outcome->records[i].mdev.uuid, allocation->id) == 0)
			return &outcome->records[i].mdev;
	return NULL;
}

static enum step undo_create(struct agent *agent, struct lease *take_lease)
{
	struct err err;

	(void)release_undo(agent, take_lease, 0, &err); /* else recovery goes on with it */
	return STEP_FAILED;
}

static enum step create_device(struct agent *agent, struct lease *lease, int64_t deadline_ms,
			       struct err *err)
{
	scoped(outcome_done) struct outcome outcome = { 0 };
	const struct op_mdev *mdev;

	operation_run(agent, OP_CREATE_MDEV, &lease->allocation, deadline_ms, &outcome);
	if (outcome.kind == OUTCOME_UNKNOWN)
		return leave_unsettled(agent, lease, &outcome, err);
	if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_UNVERIFIED) {
		err_set(err, ERR_INTERNAL, "cannot create a %s on %s: %s",
			lease->allocation.profile, PCI_STR(lease->allocation.slot),
			outcome.result.message);
		return undo_create(agent, lease);
	}
	if (outcome.kind != OUTCOME_ANSWERED || outcome.result.status != OP_OK)
		return forget_create(agent, lease, &outcome, err);
	mdev = created_mdev(&outcome, &lease->allocation);
	if (!mdev) {
		err_set(err, ERR_INTERNAL, "the worker created mdev %s but did not describe it",
			lease->allocation.id);
		return undo_create(agent, lease);
	}
	pthread_mutex_lock(&agent->lock);
	lease->allocation.iommu_group = mdev->iommu_group;
	agent_record_change_locked(agent, true, mdev);
	agent_judge_slot_locked(agent, lease->allocation.slot, false);
	pthread_mutex_unlock(&agent->lock);
	return STEP_DONE;
}

static enum step grant_device(struct agent *agent, struct lease *lease, int64_t deadline_ms,
			      struct err *err)
{
	scoped(outcome_done) struct outcome outcome = { 0 };

	operation_run(agent, OP_GRANT_NODE, &lease->allocation, deadline_ms, &outcome);
	if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_OK)
		return STEP_DONE;
	if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_REFUSED)
		err_field(err, "grant_gid", "grant_gid is %u: %s", lease->allocation.grant_gid,
			  outcome.result.message);
	else
		err_set(err, ERR_DEVICE_NOT_RESPONDING, "cannot grant the node of a new %s: %s",
			lease->allocation.profile, outcome.result.message);
	return undo_create(agent, lease);
}

static enum step commit(struct agent *agent, struct lease *lease, struct allocation *ret,
			struct err *err)
{
	if (records_set_state(agent->records, &lease->allocation, ALLOCATION_READY, err))
		return undo_create(agent, lease);
	pthread_mutex_lock(&agent->lock);
	lease->allocation.state = ALLOCATION_READY;
	*ret = lease->allocation;
	lease_end_locked(agent, lease);
	pthread_mutex_unlock(&agent->lock);
	log_info("allocated %s (%s on %s) to %s for '%s'", ret->id, ret->profile,
		 PCI_STR(ret->slot), ret->principal, ret->owner);
	return STEP_DONE;
}

static enum step build(struct agent *agent, struct lease *take_lease, int64_t deadline_ms,
		       struct allocation *ret, struct err *err)
{
	enum step step;

	/* 1: the intent. From here on a crash leaves something that recovery finds. */
	if (records_add(agent->records, &take_lease->allocation, err)) {
		pthread_mutex_lock(&agent->lock);
		lease_drop_locked(agent, take_lease);
		pthread_mutex_unlock(&agent->lock);
		return STEP_FAILED;
	}
	/* 2: the device, verified by the worker. A failed step has disposed of the lease. */
	step = create_device(agent, take_lease, deadline_ms, err);
	/* 3: its node, for the one group that asked. */
	if (step == STEP_DONE)
		step = grant_device(agent, take_lease, deadline_ms, err);
	/* 4: it counts. */
	if (step == STEP_DONE)
		step = commit(agent, take_lease, ret, err);
	return step;
}

/* Somebody else may have taken what the inventory showed: decide on what a new scan says. */
static void wait_for_fresh_scan(struct agent *agent, int64_t deadline_ms)
{
	int64_t limit_ms = clock_monotonic_ms() + FRESH_SCAN_MAX_MS;
	uint64_t number;

	if (limit_ms > deadline_ms)
		limit_ms = deadline_ms;
	pthread_mutex_lock(&agent->lock);
	number = agent_request_scan_locked(agent, 0);
	while (agent->scans_published < number && !agent->stopping &&
	       clock_monotonic_ms() < limit_ms)
		(void)agent_wait_locked(agent, limit_ms);
	pthread_mutex_unlock(&agent->lock);
}

int allocator_create(struct agent *agent, const struct create_request *request,
		     struct allocation *ret, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + agent->options.request_timeout_ms;

	for (int attempt = 1;; attempt++) {
		struct lease *lease = NULL;
		enum step step;
		int r;

		if (check_not_deleted(agent, request, err))
			return -1;
		r = begin(agent, request, deadline_ms, ret, &lease, err);
		if (r)
			return r > 0 ? 0 : -1;
		step = build(agent, lease, deadline_ms, ret, err);
		if (step == STEP_DONE)
			return 0;
		if (step == STEP_FAILED || attempt == ATTEMPTS_MAX ||
		    clock_monotonic_ms() >= deadline_ms)
			return -1;
		log_warning("%s, trying another slot", err->message);
		wait_for_fresh_scan(agent, deadline_ms);
	}
}

/* ---- Delete and list ------------------------------------------------------------------ */

static int refuse_not_found(const char *id, struct err *err)
{
	return err_set(err, ERR_ALLOCATION_NOT_FOUND, "no allocation '%s'", id);
}

/* 0 for one that was deleted earlier. */
static int check_deleted(struct agent *agent, const char *principal, const char *id,
			 struct err *err)
{
	struct allocation row;
	int r = records_find(agent->records, id, &row, err);

	if (r < 0)
		return -1;
	if (r == 0 || row.state == ALLOCATION_UNDONE ||
	    (principal && strcmp(row.principal, principal) != 0))
		return refuse_not_found(id, err);
	return 0;
}

/* 1: *ret_lease is busy now, for the caller. 0: no such live allocation of this principal. */
static int take_lease_locked(struct agent *agent, const char *principal, const char *id,
			     int64_t deadline_ms, struct lease **ret_lease, struct err *err)
{
	struct lease *lease;

	while ((lease = lease_find_locked(agent, id)) && lease->busy)
		if (!agent_wait_locked(agent, deadline_ms) &&
		    (agent->stopping || clock_monotonic_ms() >= deadline_ms))
			return err_set(err, ERR_DEVICE_NOT_RESPONDING,
				       "another call is still at work on allocation %s", id);
	if (!lease || (principal && strcmp(lease->allocation.principal, principal) != 0))
		return 0;
	if (!agent->inventory)
		return err_set(err, ERR_INVENTORY_NOT_READY,
			       "the first scan of this host's GPUs has not ended yet");
	if (lease->allocation.state == ALLOCATION_CREATING)
		return err_set(
			err, ERR_DEVICE_NOT_RESPONDING,
			"whether allocation %s exists is not known yet: the kernel has not answered on %s",
			id, PCI_STR(lease->allocation.slot));
	lease_start_locked(lease);
	*ret_lease = lease;
	return 1;
}

int allocator_delete(struct agent *agent, const char *principal, const char *id, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + agent->options.request_timeout_ms;
	struct lease *lease = NULL;
	int r;

	pthread_mutex_lock(&agent->lock);
	r = take_lease_locked(agent, principal, id, deadline_ms, &lease, err);
	pthread_mutex_unlock(&agent->lock);
	if (r < 0)
		return -1;
	if (r == 0)
		return check_deleted(agent, principal, id, err);
	return release_close(agent, lease, LATE_RELEASE_MS, err);
}

int allocator_list(struct agent *agent, const char *principal, uint64_t after, size_t max,
		   struct allocation **ret, bool *ret_more)
{
	struct allocation *list = calloc(max + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	*ret_more = false;
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < agent->lease_count && !*ret_more; i++) {
		const struct allocation *allocation = &agent->leases[i]->allocation;

		if (allocation->sequence <= after ||
		    (principal && strcmp(allocation->principal, principal) != 0))
			continue;
		if (count == max)
			*ret_more = true;
		else
			list[count++] = *allocation;
	}
	pthread_mutex_unlock(&agent->lock);
	*ret = list;
	return (int)count;
}
