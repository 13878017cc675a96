/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uuid/uuid.h>

#include "clock.h"
#include "common/log.h"
#include "common/scoped.h"
#include "create.h"
#include "passthrough_allocate.h"
#include "profile_name.h"
#include "release.h"

#define ATTEMPTS_MAX	  3    /* each on another slot, after a look at what changed */
#define FRESH_SCAN_MAX_MS 3000 /* how long to wait for that look */
#define LATE_RELEASE_MS	  10000

/* ---- Asked before? ------------------------------------------------------------------ */

static int check_same(const struct allocation *allocation, const struct create_request *request,
		      struct err *err)
{
	const char *wanted = request->device[0] ? request->device : request->profile;

	if (strcmp(allocation->owner, request->owner) == 0 &&
	    (allocation->kind == ALLOCATION_DEVICE) == (request->device[0] != '\0') &&
	    strcmp(allocation->profile, wanted) == 0 && allocation->grant_gid == request->grant_gid)
		return 0;
	err_set(err, ERR_REQUEST_ID_REUSED,
		"request_id %s was used for %s, owner '%s', grant_gid %u", request->request_id,
		allocation->profile, allocation->owner, allocation->grant_gid);
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
	passthrough_complete_locked(agent, ret);
	return 1;
}

static bool is_live(struct agent *agent, const char *id)
{
	bool live;

	pthread_mutex_lock(&agent->lock);
	live = lease_find_locked(agent, id) != NULL;
	pthread_mutex_unlock(&agent->lock);
	return live;
}

/*
 * A row whose allocation is not live any more. One that was live when it was read may have been
 * undone since, which frees the request: it is read once more.
 */
static int check_not_deleted(struct agent *agent, const struct create_request *request,
			     struct err *err)
{
	char seen[OPS_UUID_SIZE] = "";
	struct allocation row;

	for (;;) {
		int r = records_find_request(agent->records, request->principal,
					     request->request_id, &row, err);

		if (r <= 0)
			return r;
		if (is_live(agent, row.id))
			return 0;
		if (row.state == ALLOCATION_CLOSED || strcmp(row.id, seen) == 0)
			break;
		memcpy(seen, row.id, sizeof(seen));
	}
	if (check_same(&row, request, err))
		return -1;
	return refuse_deleted(request, err);
}

/* ---- Deciding ----------------------------------------------------------------------- */

void allocation_begin_locked(struct agent *agent, const struct create_request *request,
			     struct allocation *ret)
{
	uuid_t uuid;

	*ret = (struct allocation){
		.sequence = ++agent->last_sequence,
		.state = ALLOCATION_CREATING,
		.framebuffer_mb = OPS_UNKNOWN,
		.numa_node = -1,
		.iommu_group = OPS_NO_GROUP,
		.grant_gid = request->grant_gid,
		.create_time_ms = clock_realtime_ms(),
	};
	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, ret->id);
	strcpy(ret->request_id, request->request_id);
	strcpy(ret->principal, request->principal);
	strcpy(ret->owner, request->owner);
	strcpy(ret->boot_id, agent->boot_id);
}

static void fill_allocation(struct agent *agent, const struct create_request *request,
			    const struct placement *placement, struct allocation *allocation)
{
	const struct inventory *inventory = agent->inventory;
	const struct inventory_slot *slot = &inventory->slots[placement->slot];
	const struct inventory_gpu *gpu = &inventory->gpus[placement->gpu];

	allocation_begin_locked(agent, request, allocation);
	allocation->kind =
		gpu->framework == FRAMEWORK_VENDOR_VFIO ? ALLOCATION_VENDOR : ALLOCATION_MDEV;
	allocation->framebuffer_mb = inventory->profiles[placement->offer->profile].framebuffer_mb;
	allocation->slot = slot->address;
	allocation->gpu = gpu->address;
	allocation->numa_node = slot->numa_node;
	strcpy(allocation->profile, request->profile);
	strcpy(allocation->type, placement->offer->type);
}

static int compare_profiles(const void *a, const void *b)
{
	const struct inventory_profile *x = a, *y = b;

	return profile_compare(x->name, x->framebuffer_mb, y->name, y->framebuffer_mb);
}

static int refuse_unknown(const struct inventory *inventory, const char *profile, struct err *err)
{
	scoped_free struct inventory_profile *known =
		calloc(inventory->profile_count + 1, sizeof(*known));
	size_t used;

	if (!known)
		return err_sys(err, ENOMEM, "cannot list the profiles of this host");
	for (size_t i = 0; i < inventory->profile_count; i++)
		known[i] = inventory->profiles[i];
	qsort(known, inventory->profile_count, sizeof(*known), compare_profiles);
	err_set(err, ERR_UNKNOWN_PROFILE, "vgpu.profile is '%s', %s", profile,
		inventory->profile_count ? "this host has:" : "this host has no vGPU profiles");
	for (size_t i = 0; i < inventory->profile_count; i++) {
		used = strlen(err->message);
		snprintf(err->message + used, sizeof(err->message) - used, "%s %s", i ? "," : "",
			 known[i].name);
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
	if (request->device[0])
		return passthrough_reserve_locked(agent, request, err);
	profile = inventory_find_profile(agent->inventory, request->profile);
	if (profile == INVENTORY_NONE) {
		refuse_unknown(agent->inventory, request->profile, err);
		return NULL;
	}
	if (agent_capacity_locked(agent, &scope)) {
		err_sys(err, ENOMEM, "cannot choose a GPU");
		return NULL;
	}
	if (placement_choose(&scope.capacity, profile, &request->wish, &placement, err) == 0) {
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

/* ---- Create ------------------------------------------------------------------------- */

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

/* What is left of a budget is known by the driver alone: ask it before the answer is out. */
static void refresh_budget(struct agent *agent, struct pci_addr address, int64_t deadline_ms)
{
	bool shared;
	size_t slot;

	pthread_mutex_lock(&agent->lock);
	slot = inventory_find_slot(agent->inventory, address);
	shared = slot != INVENTORY_NONE && agent->inventory->slots[slot].shared;
	pthread_mutex_unlock(&agent->lock);
	if (shared)
		wait_for_fresh_scan(agent, deadline_ms);
}

/* A refusal that another scan could turn: a figure was not known. */
static bool is_unsure(const struct err *err)
{
	bool unsure = false;

	for (size_t i = 0; i < err->detail_count; i++)
		unsure |= strcmp(err->details[i].type, capacity_limit_word(LIMIT_UNKNOWN)) == 0;
	return err->reason == ERR_INSUFFICIENT_CAPACITY && unsure;
}

static enum create_step attempt(struct agent *agent, const struct create_request *request,
				int64_t deadline_ms, struct allocation *ret, struct err *err)
{
	struct lease *lease = NULL;
	enum create_step step;
	int r;

	if (check_not_deleted(agent, request, err))
		return CREATE_FAILED;
	r = begin(agent, request, deadline_ms, ret, &lease, err);
	if (r < 0)
		return is_unsure(err) ? CREATE_RETRY : CREATE_FAILED;
	if (r > 0)
		return CREATE_DONE;
	step = create_run(agent, lease, deadline_ms, ret, err);
	if (step == CREATE_RETRY)
		log_warning("%s, trying another slot", err->message);
	if (step == CREATE_DONE)
		refresh_budget(agent, ret->slot, deadline_ms);
	return step;
}

int allocator_create(struct agent *agent, const struct create_request *request,
		     struct allocation *ret, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + agent->options.request_timeout_ms;

	for (int number = 1;; number++) {
		enum create_step step = attempt(agent, request, deadline_ms, ret, err);

		if (step == CREATE_DONE)
			return 0;
		if (step == CREATE_FAILED || number == ATTEMPTS_MAX ||
		    clock_monotonic_ms() >= deadline_ms)
			return -1;
		/* Somebody else may have taken what the inventory showed. */
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

static struct lease *find_visible_locked(struct agent *agent, const char *principal, const char *id)
{
	struct lease *lease = lease_find_locked(agent, id);

	if (lease && principal && strcmp(lease->allocation.principal, principal) != 0)
		return NULL;
	return lease;
}

/* 1: *ret_lease is busy now, for the caller. 0: no such live allocation of this principal. */
static int take_lease_locked(struct agent *agent, const char *principal, const char *id,
			     int64_t deadline_ms, struct lease **ret_lease, struct err *err)
{
	struct lease *lease;

	while ((lease = find_visible_locked(agent, principal, id)) && lease->busy)
		if (!agent_wait_locked(agent, deadline_ms) &&
		    (agent->stopping || clock_monotonic_ms() >= deadline_ms))
			return err_set(err, ERR_DEVICE_NOT_RESPONDING,
				       "another call is still at work on allocation %s", id);
	if (!lease)
		return 0;
	if (!agent->inventory)
		return err_set(err, ERR_INVENTORY_NOT_READY,
			       "the first scan of this host's GPUs has not ended yet");
	if (lease->allocation.state == ALLOCATION_CREATING)
		return err_set(
			err, ERR_DEVICE_NOT_RESPONDING,
			"whether allocation %s exists is not known yet: the kernel has not answered on %s",
			id, PCI_STR(lease->allocation.slot));
	if (inventory_is_suspect(agent->inventory, lease->allocation.gpu))
		return err_set(err, ERR_DEVICE_NOT_RESPONDING,
			       "cannot remove allocation %s now: the kernel does not answer for %s",
			       id, PCI_STR(lease->allocation.gpu));
	lease_start_locked(lease);
	*ret_lease = lease;
	return 1;
}

int allocator_delete(struct agent *agent, const char *principal, const char *id, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + agent->options.request_timeout_ms;
	struct lease *lease = NULL;
	struct pci_addr slot;
	int r;

	pthread_mutex_lock(&agent->lock);
	r = take_lease_locked(agent, principal, id, deadline_ms, &lease, err);
	pthread_mutex_unlock(&agent->lock);
	if (r < 0)
		return -1;
	if (r == 0)
		return check_deleted(agent, principal, id, err);
	slot = lease->allocation.slot;
	if (release_close(agent, lease, LATE_RELEASE_MS, err))
		return -1;
	refresh_budget(agent, slot, deadline_ms);
	return 0;
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
	for (size_t i = 0; i < count; i++)
		passthrough_complete_locked(agent, &list[i]);
	pthread_mutex_unlock(&agent->lock);
	*ret = list;
	return (int)count;
}
