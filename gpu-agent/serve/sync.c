/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "common/log.h"
#include "release.h"

void sync_request_done(struct sync_request *request)
{
	free(request->claimed);
	*request = (struct sync_request){ 0 };
}

void sync_result_done(struct sync_result *result)
{
	free(result->released.ids);
	free(result->in_use.ids);
	free(result->missing.ids);
	*result = (struct sync_result){ 0 };
}

/*
 * Numbers that were given out but never recorded are given out again after a restart, so
 * only the database's last one is sure to stay behind.
 */
int sync_revision(struct agent *agent, uint64_t *ret, struct err *err)
{
	uint64_t revision;

	if (records_last_sequence(agent->records, &revision, err))
		return -1;
	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < agent->lease_count; i++) {
		const struct allocation *allocation = &agent->leases[i]->allocation;

		if (allocation->state == ALLOCATION_CREATING && allocation->sequence <= revision)
			revision = allocation->sequence - 1;
	}
	pthread_mutex_unlock(&agent->lock);
	*ret = revision;
	return 0;
}

/* ---- Claims -------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct sync_id *)a)->s, ((const struct sync_id *)b)->s);
}

static bool is_claimed(const struct sync_request *request, const char *id)
{
	return bsearch(id, request->claimed, request->claimed_count, sizeof(*request->claimed),
		       compare_ids) != NULL;
}

static void add_id(struct sync_ids *ids, const char *id)
{
	memcpy(ids->ids[ids->count++].s, id, OPS_UUID_SIZE);
}

static void find_missing_locked(struct agent *agent, const struct sync_request *request,
				struct sync_ids *missing)
{
	for (size_t i = 0; i < request->claimed_count; i++) {
		const struct lease *lease = lease_find_locked(agent, request->claimed[i].s);

		if (!lease || lease->allocation.state == ALLOCATION_RELEASING ||
		    strcmp(lease->allocation.principal, request->principal) != 0)
			add_id(missing, request->claimed[i].s);
	}
}

/* What a thread works on is in somebody's hands already. */
static bool is_forgotten(const struct sync_request *request, const struct lease *lease)
{
	const struct allocation *allocation = &lease->allocation;

	return !lease->busy && allocation->state == ALLOCATION_READY &&
	       allocation->sequence <= request->revision &&
	       strcmp(allocation->principal, request->principal) == 0 &&
	       !is_claimed(request, allocation->id);
}

/* The next one to release, made busy; NULL: none is left. */
static struct lease *take_next(struct agent *agent, const struct sync_request *request,
			       uint64_t *after)
{
	struct lease *found = NULL;

	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < agent->lease_count && !found; i++) {
		struct lease *lease = agent->leases[i];

		if (lease->allocation.sequence > *after && is_forgotten(request, lease))
			found = lease;
	}
	if (found) {
		*after = found->allocation.sequence;
		lease_start_locked(found);
	}
	pthread_mutex_unlock(&agent->lock);
	return found;
}

/* ---- Releasing ----------------------------------------------------------------------- */

static bool is_ready(struct agent *agent, const char *id)
{
	const struct lease *lease;
	bool ready;

	pthread_mutex_lock(&agent->lock);
	lease = lease_find_locked(agent, id);
	ready = lease && lease->allocation.state == ALLOCATION_READY;
	pthread_mutex_unlock(&agent->lock);
	return ready;
}

/* One that could not be removed now, but is not in use, is left to recovery. */
static void release(struct agent *agent, struct lease *take_lease, struct sync_result *result)
{
	struct allocation allocation = take_lease->allocation;
	struct err err;

	log_info("%s has forgotten allocation %s, releasing it", allocation.principal,
		 allocation.id);
	if (release_close(agent, take_lease, 0, &err) == 0) {
		add_id(&result->released, allocation.id);
	} else if (is_ready(agent, allocation.id)) {
		log_info("%s", err.message);
		add_id(&result->in_use, allocation.id);
	} else {
		log_warning("%s", err.message);
		add_id(&result->released, allocation.id);
	}
}

/* Checks the claim against the state, and makes room for the result. */
static int begin(struct agent *agent, const struct sync_request *request,
		 struct sync_result *result, struct err *err)
{
	size_t room;
	int r = 0;

	pthread_mutex_lock(&agent->lock);
	room = agent->lease_count + 1; /* what is made later is beyond the revision */
	result->released.ids = calloc(room, sizeof(struct sync_id));
	result->in_use.ids = calloc(room, sizeof(struct sync_id));
	result->missing.ids = calloc(request->claimed_count + 1, sizeof(struct sync_id));
	if (!agent->inventory)
		r = err_set(err, ERR_INVENTORY_NOT_READY,
			    "the first scan of this host's GPUs has not ended yet");
	else if (request->revision > agent->last_sequence)
		r = err_field(err, "revision",
			      "revision is %" PRIu64
			      ", must be one that ListAllocations gave (at most %" PRIu64 " now)",
			      request->revision, agent->last_sequence);
	else if (!result->released.ids || !result->in_use.ids || !result->missing.ids)
		r = err_sys(err, ENOMEM, "cannot look at the claim");
	else
		find_missing_locked(agent, request, &result->missing);
	pthread_mutex_unlock(&agent->lock);
	return r;
}

int sync_run(struct agent *agent, struct sync_request *request, struct sync_result *ret,
	     struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + agent->options.request_timeout_ms;
	struct lease *lease;
	uint64_t after = 0;

	*ret = (struct sync_result){ 0 };
	if (request->claimed_count)
		qsort(request->claimed, request->claimed_count, sizeof(*request->claimed),
		      compare_ids);
	if (begin(agent, request, ret, err))
		return -1;
	while ((lease = take_next(agent, request, &after))) {
		release(agent, lease, ret);
		if (clock_monotonic_ms() >= deadline_ms)
			return err_set(
				err, ERR_DEVICE_NOT_RESPONDING,
				"the kernel is slow: %zu forgotten allocations are released, call again for the rest",
				ret->released.count);
	}
	return 0;
}
