/* SPDX-License-Identifier: Apache-2.0 */
#include "scanner.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "common/log.h"
#include "passthrough_scan.h"
#include "suspects.h"

#define RETRY_MS	 1000 /* after a failed scan */
#define SETTLE_RESCAN_MS 2000 /* while a write hangs */

/* ---- Publishing ------------------------------------------------------------------- */

static bool is_barred(const struct agent_options *options, const struct inventory_gpu *gpu)
{
	if (gpu->framework == FRAMEWORK_UNKNOWN && gpu->board.vendor == 0)
		return false; /* whose it is could not be read either */
	for (size_t i = 0; i < options->vendor_count; i++)
		if (options->vendors[i] == gpu->board.vendor)
			return false;
	return true;
}

/* Our changes since the scan began; what it says of the GPUs concerned may be older. */
static void apply_changes_locked(struct agent *agent, struct inventory *inventory)
{
	for (size_t i = 0; i < agent->change_count; i++) {
		const struct change *change = &agent->changes[i];

		inventory_mark_stale(inventory, change->vgpu.parent);
		if (!change->created)
			inventory_remove_vgpu(inventory, change->vgpu.uuid);
		else if (inventory_add_vgpu(inventory, &change->vgpu, &agent->catalogue))
			log_error("out of memory: vGPU %s is shown after the next scan",
				  change->vgpu.uuid);
	}
	for (size_t i = 0; i < agent->lease_count; i++)
		if (agent->leases[i]->busy)
			inventory_mark_stale(inventory, agent->leases[i]->allocation.slot);
}

/*
 * A worker that is gone stays gone. While an operation has no known outcome, scans find out soon
 * when its worker is.
 */
static void settle_workers_locked(struct agent *agent)
{
	for (size_t i = 0; i < agent->lease_count; i++) {
		struct lease *lease = agent->leases[i];

		if (lease->last_worker == UINT64_MAX)
			lease->last_worker = agent->first_worker - 1;
		if (!lease->busy && lease->judged_from <= agent->scans_published &&
		    lease_is_quiet_locked(agent, lease))
			lease->first_worker = lease->last_worker = 0;
		if (lease->unsettled)
			(void)agent_request_scan_locked(agent, SETTLE_RESCAN_MS);
	}
}

/* Returns whether the catalogue has changed. */
static bool publish(struct agent *agent, struct inventory *take_inventory,
		    const struct outcome *outcome)
{
	int learned;

	pthread_mutex_lock(&agent->lock);
	apply_changes_locked(agent, take_inventory);
	if (!agent->inventory || !inventory_equal(agent->inventory, take_inventory))
		agent_touch_locked(agent);
	inventory_free(agent->inventory);
	agent->inventory = take_inventory;
	learned = inventory_teach(take_inventory, &agent->catalogue);
	agent->scanning = false;
	agent->scans_published = agent->scans_started;
	agent->stuck_count = outcome->stuck_count;
	memcpy(agent->stuck, outcome->stuck, sizeof(agent->stuck));
	settle_workers_locked(agent);
	pthread_cond_broadcast(&agent->changed);
	pthread_mutex_unlock(&agent->lock);
	return learned > 0;
}

/* ---- Scanning --------------------------------------------------------------------- */

static void begin(struct agent *agent)
{
	pthread_mutex_lock(&agent->lock);
	agent->scans_started++;
	agent->scanning = true;
	agent->change_count = 0;
	agent->scan_due_ms = clock_monotonic_ms() + agent->options.rescan_ms;
	pthread_mutex_unlock(&agent->lock);
}

static void abandon(struct agent *agent)
{
	pthread_mutex_lock(&agent->lock);
	agent->scanning = false;
	(void)agent_request_scan_locked(agent, RETRY_MS);
	pthread_mutex_unlock(&agent->lock);
}

/* Where a scan that did not end hangs. */
static bool find_culprit(const struct outcome *outcome, struct pci_addr *ret)
{
	for (size_t i = outcome->record_count; outcome->timed_out && i > 0; i--)
		if (outcome->records[i - 1].kind == OP_RECORD_SCANNING) {
			*ret = outcome->records[i - 1].scanning.gpu;
			return true;
		}
	return false;
}

/* Once more without it, for each GPU that hangs. */
static void scan(struct agent *agent, struct op_request *request, struct outcome *ret)
{
	struct pci_addr culprit;

	for (;;) {
		suspects_leave_out(agent, request);
		monitor_client_scan(agent->monitor, request, agent->options.scan_timeout_ms,
				    agent->stop_fd, ret);
		if (agent->first_worker == 0)
			agent->first_worker = ret->worker_id;
		if (!find_culprit(ret, &culprit) || !suspects_add(agent, culprit, ret))
			return;
		outcome_done(ret);
	}
}

/* The catalogue is read without the lock: only this thread changes it. */
static int build(struct agent *agent, const struct op_request *request, struct outcome *outcome,
		 struct inventory **ret, struct err *err)
{
	if (outcome->kind != OUTCOME_ANSWERED || outcome->result.status != OP_OK)
		return err_set(err, ERR_UNAVAILABLE, "cannot scan the GPUs: %s",
			       outcome->result.message);
	if (suspects_complete(agent, request, outcome) ||
	    inventory_new(outcome->records, outcome->record_count, &agent->catalogue, ret))
		return err_sys(err, ENOMEM, "cannot keep what the scan found");
	inventory_mark_suspects(*ret, request->gpus, request->gpu_count);
	for (size_t i = 0; i < (*ret)->gpu_count; i++)
		(*ret)->gpus[i].barred = is_barred(&agent->options, &(*ret)->gpus[i]);
	return 0;
}

int scanner_scan(struct agent *agent, struct err *err)
{
	struct op_request request = { .version = OPS_VERSION, .kind = OP_SCAN };
	scoped(outcome_done) struct outcome outcome = { 0 };
	struct inventory *inventory;
	struct err save_err;

	begin(agent);
	scan(agent, &request, &outcome);
	if (build(agent, &request, &outcome, &inventory, err)) {
		abandon(agent);
		return -1;
	}
	if (passthrough_scan(agent, inventory, outcome.records, outcome.record_count))
		log_error("out of memory: whole GPUs are shown as they were");
	if (publish(agent, inventory, &outcome) &&
	    records_save_catalogue(agent->records, &agent->catalogue, &save_err))
		log_warning("%s, the catalogue of vGPU types is learned again at the next start",
			    save_err.message);
	return 0;
}

static bool wait_until_due(struct agent *agent)
{
	bool stopping;

	pthread_mutex_lock(&agent->lock);
	while (!agent->stopping && clock_monotonic_ms() < agent->scan_due_ms)
		(void)agent_wait_locked(agent, agent->scan_due_ms);
	stopping = agent->stopping;
	pthread_mutex_unlock(&agent->lock);
	return !stopping;
}

void *scanner_thread(void *argument)
{
	struct agent *agent = argument;
	char complaint[ERR_MESSAGE_MAX] = "";

	while (wait_until_due(agent)) {
		struct err err = { 0 };

		(void)scanner_scan(agent, &err);
		if (strcmp(err.message, complaint) == 0)
			continue; /* said already */
		memcpy(complaint, err.message, sizeof(complaint));
		if (complaint[0])
			log_error("%s, going on with what was known", complaint);
		else
			log_info("scanning works again");
	}
	suspects_wait_end(agent);
	return NULL;
}
