/* SPDX-License-Identifier: Apache-2.0 */
#include "release.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "common/log.h"
#include "operation.h"
#include "passthrough_allocate.h"

#define RETRY_MS	250
#define DRAIN_RESCAN_MS 2000 /* what patience did not bring about, recovery tries again */

enum removal {
	REMOVAL_GONE,
	REMOVAL_IN_USE,
	REMOVAL_LATE,	 /* nobody is known to use it, but the kernel says that it is in use */
	REMOVAL_FAILED,	 /* nothing was removed */
	REMOVAL_UNKNOWN, /* the worker gave no answer */
};

/* ---- The device -------------------------------------------------------------------- */

/* "pid 4711 (qemu-system-x86)"; true when one of them certainly holds the device. */
static bool name_holders(const struct outcome *outcome, char *text, size_t size)
{
	bool certain = false;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < outcome->record_count; i++) {
		const struct op_holder *holder = &outcome->records[i].holder;

		if (outcome->records[i].kind != OP_RECORD_HOLDER)
			continue;
		certain |= holder->certain;
		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "%spid %d (%s)",
						 used ? ", " : "", holder->pid, holder->command);
	}
	return certain;
}

static enum removal judge_in_use(const struct allocation *allocation, const struct outcome *outcome,
				 struct err *err)
{
	char holders[256];
	bool certain = name_holders(outcome, holders, sizeof(holders));

	if (certain) {
		err_set(err, ERR_ALLOCATION_IN_USE, "allocation %s is in use by %s", allocation->id,
			holders);
		return REMOVAL_IN_USE;
	}
	if (holders[0])
		err_set(err, ERR_ALLOCATION_IN_USE,
			"allocation %s is in use, possibly by one of: %s", allocation->id, holders);
	else
		err_set(err, ERR_DEVICE_NOT_RESPONDING,
			"the kernel has not let go of allocation %s yet, its removal goes on",
			allocation->id);
	return REMOVAL_LATE;
}

static enum removal judge(const struct allocation *allocation, const struct outcome *outcome,
			  struct err *err)
{
	if (outcome->kind != OUTCOME_ANSWERED) {
		err_set(err, ERR_DEVICE_NOT_RESPONDING, "cannot remove allocation %s now: %s",
			allocation->id, outcome->result.message);
		return outcome->kind == OUTCOME_UNKNOWN ? REMOVAL_UNKNOWN : REMOVAL_FAILED;
	}
	switch (outcome->result.status) {
	case OP_OK:
	case OP_NOT_FOUND:
		return REMOVAL_GONE;
	case OP_IN_USE:
		return judge_in_use(allocation, outcome, err);
	case OP_REFUSED:
		err_set(err, ERR_FAILED_PRECONDITION, "may not remove allocation %s: %s",
			allocation->id, outcome->result.message);
		return REMOVAL_FAILED;
	default:
		err_set(err, ERR_DEVICE_NOT_RESPONDING, "cannot remove allocation %s: %s",
			allocation->id, outcome->result.message);
		return REMOVAL_FAILED;
	}
}

/* note: what the worker said last; NULL: nobody wants to know. */
static enum removal run_patiently(struct agent *agent, enum op_kind kind,
				  const struct allocation *allocation, int64_t give_up_ms,
				  char note[OPS_MESSAGE_MAX], struct err *err)
{
	for (;;) {
		const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000 };
		scoped(outcome_done) struct outcome outcome = { 0 };
		enum removal removal;

		operation_run(agent, kind, allocation, INT64_MAX, &outcome);
		removal = judge(allocation, &outcome, err);
		if (note)
			memcpy(note, outcome.result.message, OPS_MESSAGE_MAX);
		if (removal != REMOVAL_LATE || clock_monotonic_ms() + RETRY_MS > give_up_ms)
			return removal;
		nanosleep(&pause, NULL);
	}
}

/* A whole GPU is cleaned of what its guest left. One that cannot be is given back with a note. */
static enum removal reset_device(struct agent *agent, const struct allocation *allocation,
				 int64_t give_up_ms, struct err *err)
{
	char note[OPS_MESSAGE_MAX] = "";
	enum removal removal = run_patiently(agent, OP_RESET, allocation, give_up_ms, note, err);

	if (removal == REMOVAL_GONE || removal == REMOVAL_FAILED)
		passthrough_note_reset(agent, allocation, removal == REMOVAL_FAILED ? note : "");
	return removal == REMOVAL_FAILED ? REMOVAL_GONE : removal;
}

static enum removal remove_device(struct agent *agent, const struct allocation *allocation,
				  int patience_ms, struct err *err)
{
	int64_t give_up_ms = clock_monotonic_ms() + patience_ms;
	enum removal removal = REMOVAL_GONE;

	if (allocation->kind == ALLOCATION_DEVICE && allocation->state != ALLOCATION_CREATING)
		removal = reset_device(agent, allocation, give_up_ms, err);
	if (removal != REMOVAL_GONE)
		return removal;
	return run_patiently(agent, operation_to_remove(allocation), allocation, give_up_ms, NULL,
			     err);
}

/* ---- The record -------------------------------------------------------------------- */

static void drop(struct agent *agent, struct lease *take_lease, bool removed)
{
	struct op_mdev vgpu = operation_vgpu(&take_lease->allocation);

	pthread_mutex_lock(&agent->lock);
	if (removed && take_lease->allocation.kind == ALLOCATION_DEVICE)
		passthrough_record_change_locked(agent, &take_lease->allocation, false);
	else if (removed)
		agent_record_change_locked(agent, false, &vgpu);
	lease_drop_locked(agent, take_lease);
	pthread_mutex_unlock(&agent->lock);
}

/*
 * A full disk must not stop a release: the device is gone, and a record left behind is
 * closed by the next start's recovery.
 */
static void write_end(struct agent *agent, const struct allocation *allocation)
{
	struct err err;
	int r;

	if (allocation->state == ALLOCATION_CREATING)
		r = records_undo(agent->records, allocation->id, &err);
	else
		r = records_set_state(agent->records, allocation, ALLOCATION_CLOSED, &err);
	if (r)
		log_error("%s, the record of allocation %s is closed at the next start",
			  err.message, allocation->id);
}

/*
 * Still there: back on the shelf, for the caller's next try or for recovery. Its end is wanted:
 * whoever uses it, a worker of a monitor that was killed perhaps, is not waited for in vain.
 */
static int keep(struct agent *agent, struct lease *take_lease, enum allocation_state state,
		enum removal removal)
{
	pthread_mutex_lock(&agent->lock);
	take_lease->allocation.state = state;
	take_lease->unsettled = removal == REMOVAL_UNKNOWN;
	lease_end_locked(agent, take_lease);
	if (removal != REMOVAL_FAILED && state != ALLOCATION_READY)
		(void)agent_request_scan_locked(agent, DRAIN_RESCAN_MS);
	pthread_mutex_unlock(&agent->lock);
	return -1;
}

/* The removal took the node back; it is as it was before. */
static void restore_ready(struct agent *agent, const struct allocation *allocation)
{
	scoped(outcome_done) struct outcome outcome = { 0 };
	struct err err;

	operation_run(agent, OP_GRANT_NODE, allocation, INT64_MAX, &outcome);
	if (outcome.kind != OUTCOME_ANSWERED || outcome.result.status != OP_OK)
		log_warning(
			"cannot grant the node of allocation %s again, who has it open keeps it: %s",
			allocation->id, outcome.result.message);
	if (records_set_state(agent->records, allocation, ALLOCATION_READY, &err))
		log_warning("%s, allocation %s is released at the next start", err.message,
			    allocation->id);
}

static void set_state(struct agent *agent, struct lease *lease, enum allocation_state state)
{
	pthread_mutex_lock(&agent->lock);
	lease->allocation.state = state;
	agent_touch_locked(agent);
	pthread_mutex_unlock(&agent->lock);
}

/* Another worker would only be stuck too. When the GPU answers again, recovery goes on. */
static bool gpu_hangs(struct agent *agent, const struct allocation *allocation, struct err *err)
{
	bool hangs;

	pthread_mutex_lock(&agent->lock);
	hangs = agent->inventory && inventory_is_suspect(agent->inventory, allocation->gpu);
	pthread_mutex_unlock(&agent->lock);
	if (hangs)
		err_set(err, ERR_DEVICE_NOT_RESPONDING,
			"cannot remove allocation %s now: the kernel does not answer for %s",
			allocation->id, PCI_STR(allocation->gpu));
	return hangs;
}

int release_close(struct agent *agent, struct lease *take_lease, int patience_ms, struct err *err)
{
	struct allocation allocation = take_lease->allocation;
	bool was_ready = allocation.state == ALLOCATION_READY;
	enum removal removal;

	if (was_ready) {
		set_state(agent, take_lease, ALLOCATION_RELEASING);
		if (records_set_state(agent->records, &allocation, ALLOCATION_RELEASING, err))
			log_warning("%s, releasing allocation %s nevertheless", err->message,
				    allocation.id);
	}
	if (gpu_hangs(agent, &allocation, err))
		return keep(agent, take_lease, ALLOCATION_RELEASING, REMOVAL_FAILED);
	removal = remove_device(agent, &allocation, patience_ms, err);
	if (removal == REMOVAL_IN_USE && was_ready) {
		restore_ready(agent, &allocation);
		return keep(agent, take_lease, ALLOCATION_READY, removal);
	}
	if (removal != REMOVAL_GONE)
		return keep(agent, take_lease, ALLOCATION_RELEASING, removal);
	allocation.state = ALLOCATION_RELEASING;
	write_end(agent, &allocation);
	log_info("released allocation %s (%s on %s) of %s", allocation.id, allocation.profile,
		 PCI_STR(allocation.slot), allocation.principal);
	drop(agent, take_lease, true);
	return 0;
}

int release_undo(struct agent *agent, struct lease *take_lease, int patience_ms, struct err *err)
{
	struct allocation allocation = take_lease->allocation;
	enum removal removal = remove_device(agent, &allocation, patience_ms, err);

	if (removal != REMOVAL_GONE)
		return keep(agent, take_lease, ALLOCATION_CREATING, removal);
	write_end(agent, &allocation);
	log_info("undid allocation %s (%s on %s) of %s", allocation.id, allocation.profile,
		 PCI_STR(allocation.slot), allocation.principal);
	drop(agent, take_lease, true);
	return 0;
}

void release_forget(struct agent *agent, struct lease *take_lease)
{
	write_end(agent, &take_lease->allocation);
	drop(agent, take_lease, false);
}
