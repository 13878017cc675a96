/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "common/log.h"
#include "cordon.h"
#include "passthrough.h"
#include "quarantine.h"

#define BOOT_ID_FILE	"/proc/sys/kernel/random/boot_id"
#define SLOW_MS		1000 /* an operation that takes longer makes its GPU the last choice */
#define RESCAN_DELAY_MS 200  /* after a change of ours: several share one scan */

/* ---- Life ------------------------------------------------------------------------- */

static void read_boot_id(char boot_id[OPS_UUID_SIZE])
{
	scoped_file FILE *file = fopen(BOOT_ID_FILE, "re");

	if (!file || fread(boot_id, 1, OPS_UUID_SIZE - 1, file) != OPS_UUID_SIZE - 1)
		log_warning("cannot read " BOOT_ID_FILE ", a reboot will not be named in messages");
}

static int load(struct agent *agent, struct err *err)
{
	scoped_free struct allocation *allocations = NULL;
	size_t count = 0;

	if (records_load_catalogue(agent->records, &agent->catalogue, err) ||
	    records_last_sequence(agent->records, &agent->last_sequence, err) ||
	    records_load(agent->records, &allocations, &count, err) ||
	    registry_load_cordons(agent->records, &agent->cordons, &agent->cordon_count, err) ||
	    registry_load_devices(agent->records, &agent->devices, &agent->device_count, err) ||
	    quarantine_load(agent, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct lease *lease = lease_add_locked(agent, &allocations[i]);

		if (!lease)
			return err_sys(err, ENOMEM, "cannot load the allocations");
		/* Any worker of an earlier serve, until the first scan tells which these are. */
		lease->first_worker = 1;
		lease->last_worker = UINT64_MAX;
		lease_end_locked(agent, lease);
	}
	return 0;
}

int agent_new(const struct agent_options *options, struct records *records,
	      struct monitor_client *monitor, struct agent **ret, struct err *err)
{
	scoped(agent_free) struct agent *agent = calloc(1, sizeof(*agent));

	if (!agent)
		return err_sys(err, ENOMEM, "cannot start");
	agent->options = *options;
	agent->records = records;
	agent->monitor = monitor;
	pthread_mutex_init(&agent->registry_lock, NULL);
	pthread_mutex_init(&agent->lock, NULL);
	clock_cond_init(&agent->changed);
	read_boot_id(agent->boot_id);
	agent->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (agent->stop_fd < 0)
		return err_sys(err, errno, "cannot start");
	if (load(agent, err))
		return -1;
	*ret = TAKE_PTR(agent);
	return 0;
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	for (size_t i = 0; i < agent->lease_count; i++)
		free(agent->leases[i]);
	free(agent->leases);
	if (agent->stop_fd >= 0)
		close(agent->stop_fd);
	free(agent->seen);
	free(agent->changes);
	free(agent->failures);
	free(agent->cordons);
	free(agent->devices);
	functions_free(agent->functions);
	inventory_free(agent->inventory);
	catalogue_done(&agent->catalogue);
	host_view_unref(agent->view);
	pthread_cond_destroy(&agent->changed);
	pthread_mutex_destroy(&agent->registry_lock);
	pthread_mutex_destroy(&agent->lock);
	free(agent);
}

void agent_stop(struct agent *agent)
{
	pthread_mutex_lock(&agent->lock);
	agent->stopping = true;
	(void)eventfd_write(agent->stop_fd, 1); /* the counter cannot overflow */
	pthread_cond_broadcast(&agent->changed);
	pthread_mutex_unlock(&agent->lock);
}

bool agent_wait_locked(struct agent *agent, int64_t deadline_ms)
{
	if (agent->stopping)
		return false;
	return clock_cond_wait(&agent->changed, &agent->lock, deadline_ms) == 0 && !agent->stopping;
}

/* ---- Figures ---------------------------------------------------------------------- */

static bool is_suspect(const struct lease *lease, int64_t now_ms)
{
	return lease->unsettled || (lease->busy && now_ms - lease->busy_since_ms > SLOW_MS);
}

static void fill_claims(const struct agent *agent, struct capacity_scope *scope)
{
	int64_t now_ms = clock_monotonic_ms();

	for (size_t i = 0; i < agent->lease_count; i++) {
		const struct lease *lease = agent->leases[i];
		struct claim *claim = &scope->claims[i];

		memcpy(claim->uuid, lease->allocation.id, sizeof(claim->uuid));
		claim->slot = lease->allocation.slot;
		claim->framebuffer_mb = lease->allocation.framebuffer_mb;
		claim->suspect = is_suspect(lease, now_ms);
	}
}

static size_t fill_troubled(const struct agent *agent, struct capacity_scope *scope)
{
	size_t count = 0;

	for (size_t i = 0; i < agent->failure_count; i++) {
		const struct slot_failures *failures = &agent->failures[i];
		struct troubled_slot *troubled = &scope->troubled[count];

		if (failures->count == 0)
			continue;
		troubled->slot = failures->slot;
		troubled->shunned = failures->count >= AGENT_FAILURES_MAX;
		snprintf(troubled->reason, sizeof(troubled->reason), "%s", failures->entry.reason);
		count++;
	}
	for (size_t i = 0; i < agent->cordon_count; i++) {
		struct troubled_slot *troubled = &scope->troubled[count++];

		troubled->slot = agent->cordons[i].slot;
		troubled->shunned = true;
		snprintf(troubled->reason, sizeof(troubled->reason), "cordoned: %s",
			 agent->cordons[i].reason);
	}
	return count;
}

int agent_capacity_locked(struct agent *agent, struct capacity_scope *ret)
{
	struct capacity_input input = {
		.inventory = agent->inventory,
		.claim_count = agent->lease_count,
	};
	int r = -ENOMEM;

	*ret = (struct capacity_scope){
		.claims = calloc(agent->lease_count + 1, sizeof(*ret->claims)),
		.troubled = calloc(agent->failure_count + agent->cordon_count + 1,
				   sizeof(*ret->troubled)),
	};
	if (ret->claims && ret->troubled) {
		fill_claims(agent, ret);
		input.troubled_count = fill_troubled(agent, ret);
		input.claims = ret->claims;
		input.troubled = ret->troubled;
		r = capacity_init(&ret->capacity, &input);
	}
	if (r)
		capacity_scope_done(ret);
	return r;
}

void capacity_scope_done(struct capacity_scope *scope)
{
	capacity_done(&scope->capacity);
	free(scope->claims);
	free(scope->troubled);
	*scope = (struct capacity_scope){ 0 };
}

void agent_touch_locked(struct agent *agent)
{
	host_view_unref(TAKE_PTR(agent->view));
	agent->generation++;
	for (struct watcher *watcher = agent->watchers; watcher; watcher = watcher->next)
		watcher->wake(watcher->user);
}

void agent_add_watcher(struct agent *agent, struct watcher *watcher)
{
	pthread_mutex_lock(&agent->lock);
	watcher->next = agent->watchers;
	agent->watchers = watcher;
	pthread_mutex_unlock(&agent->lock);
}

void agent_remove_watcher(struct agent *agent, struct watcher *watcher)
{
	pthread_mutex_lock(&agent->lock);
	for (struct watcher **link = &agent->watchers; *link; link = &(*link)->next) {
		if (*link == watcher) {
			*link = watcher->next;
			break;
		}
	}
	pthread_mutex_unlock(&agent->lock);
}

static int get_view_locked(struct agent *agent, struct host_view **ret, struct err *err)
{
	if (!agent->inventory)
		return err_set(err, ERR_INVENTORY_NOT_READY,
			       "the first scan of this host's GPUs has not ended yet");
	if (!agent->view) {
		struct capacity_scope scope;

		if (agent_capacity_locked(agent, &scope))
			return err_sys(err, ENOMEM, "cannot count the GPUs");
		agent->view = host_view_new(&scope.capacity, agent->generation);
		capacity_scope_done(&scope);
		if (agent->view && cordon_describe_locked(agent, agent->view))
			host_view_unref(TAKE_PTR(agent->view));
		if (agent->view)
			passthrough_describe_locked(agent, agent->view);
		if (!agent->view)
			return err_sys(err, ENOMEM, "cannot count the GPUs");
	}
	*ret = host_view_ref(agent->view);
	return 0;
}

int agent_get_view(struct agent *agent, struct host_view **ret, struct err *err)
{
	int r;

	pthread_mutex_lock(&agent->lock);
	r = get_view_locked(agent, ret, err);
	pthread_mutex_unlock(&agent->lock);
	return r;
}

/* ---- Leases ----------------------------------------------------------------------- */

struct lease *lease_find_locked(struct agent *agent, const char *id)
{
	for (size_t i = 0; i < agent->lease_count; i++)
		if (strcmp(agent->leases[i]->allocation.id, id) == 0)
			return agent->leases[i];
	return NULL;
}

struct lease *lease_find_request_locked(struct agent *agent, const char *principal,
					const char *request_id)
{
	for (size_t i = 0; i < agent->lease_count; i++) {
		const struct allocation *allocation = &agent->leases[i]->allocation;

		if (strcmp(allocation->principal, principal) == 0 &&
		    strcmp(allocation->request_id, request_id) == 0)
			return agent->leases[i];
	}
	return NULL;
}

struct lease *lease_add_locked(struct agent *agent, const struct allocation *allocation)
{
	struct lease **leases =
		realloc(agent->leases, (agent->lease_count + 1) * sizeof(*agent->leases));
	struct lease *lease = NULL;
	size_t place;

	if (leases) {
		agent->leases = leases;
		lease = calloc(1, sizeof(*lease));
	}
	if (!lease)
		return NULL;
	lease->allocation = *allocation;
	lease_start_locked(lease);
	/* What came late has an older number than the last. */
	for (place = agent->lease_count; place > 0; place--) {
		if (agent->leases[place - 1]->allocation.sequence < allocation->sequence)
			break;
		agent->leases[place] = agent->leases[place - 1];
	}
	agent->leases[place] = lease;
	agent->lease_count++;
	agent_touch_locked(agent);
	return lease;
}

void lease_drop_locked(struct agent *agent, struct lease *take_lease)
{
	size_t i = 0;

	while (agent->leases[i] != take_lease)
		i++;
	memmove(&agent->leases[i], &agent->leases[i + 1],
		(agent->lease_count - i - 1) * sizeof(*agent->leases));
	agent->lease_count--;
	free(take_lease);
	agent_touch_locked(agent);
	pthread_cond_broadcast(&agent->changed);
}

void lease_start_locked(struct lease *lease)
{
	lease->busy = true;
	lease->busy_since_ms = clock_monotonic_ms();
}

void lease_end_locked(struct agent *agent, struct lease *lease)
{
	lease->busy = false;
	lease->judged_from = agent->scans_started + 1;
	agent_touch_locked(agent);
	pthread_cond_broadcast(&agent->changed);
}

void lease_note_worker_locked(struct lease *lease, uint64_t worker_id)
{
	if (lease->first_worker == 0)
		lease->first_worker = worker_id;
	lease->last_worker = worker_id;
}

bool lease_is_quiet_locked(const struct agent *agent, const struct lease *lease)
{
	for (size_t i = 0; i < agent->stuck_count; i++)
		if (agent->stuck[i] >= lease->first_worker && agent->stuck[i] <= lease->last_worker)
			return false;
	return true;
}

/* ---- Changes ---------------------------------------------------------------------- */

static void keep_change(struct agent *agent, bool created, const struct op_mdev *vgpu)
{
	struct change *changes =
		realloc(agent->changes, (agent->change_count + 1) * sizeof(*changes));

	if (!changes) {
		log_error("out of memory: the next scan may show an old state for a moment");
		return;
	}
	agent->changes = changes;
	changes[agent->change_count++] = (struct change){
		.created = created,
		.vgpu = *vgpu,
	};
}

void agent_record_change_locked(struct agent *agent, bool created, const struct op_mdev *vgpu)
{
	if (agent->scanning)
		keep_change(agent, created, vgpu);
	if (!created)
		inventory_remove_vgpu(agent->inventory, vgpu->uuid);
	else if (inventory_add_vgpu(agent->inventory, vgpu, &agent->catalogue))
		log_error("out of memory: vGPU %s is shown after the next scan", vgpu->uuid);
	agent_touch_locked(agent);
	(void)agent_request_scan_locked(agent, RESCAN_DELAY_MS);
}

uint64_t agent_request_scan_locked(struct agent *agent, int delay_ms)
{
	int64_t due_ms = clock_monotonic_ms() + delay_ms;

	if (due_ms < agent->scan_due_ms) {
		agent->scan_due_ms = due_ms;
		pthread_cond_broadcast(&agent->changed);
	}
	return agent->scans_started + 1;
}
