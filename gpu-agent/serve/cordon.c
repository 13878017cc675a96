/* SPDX-License-Identifier: Apache-2.0 */
#include "cordon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "common/log.h"
#include "quarantine.h"

/* ---- Changes ------------------------------------------------------------------------ */

static struct cordon *find_locked(struct agent *agent, struct pci_addr slot)
{
	for (size_t i = 0; i < agent->cordon_count; i++)
		if (pci_addr_compare(agent->cordons[i].slot, slot) == 0)
			return &agent->cordons[i];
	return NULL;
}

static int check_slot(struct agent *agent, struct pci_addr slot, bool or_cordoned, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&agent->lock);
	if (or_cordoned && (find_locked(agent, slot) || quarantine_has_locked(agent, slot)))
		r = 0; /* its GPU may have gone */
	else if (!agent->inventory)
		r = err_set(err, ERR_INVENTORY_NOT_READY,
			    "the first scan of this host's GPUs has not ended yet");
	else if (inventory_find_slot(agent->inventory, slot) == INVENTORY_NONE)
		r = err_set(err, ERR_SLOT_NOT_FOUND,
			    "%s is no slot: it must be a function that carries vGPUs",
			    PCI_STR(slot));
	pthread_mutex_unlock(&agent->lock);
	return r;
}

/* Room first, so that what is on record can be shown. */
static int reserve_locked(struct agent *agent, struct err *err)
{
	struct cordon *grown =
		realloc(agent->cordons, (agent->cordon_count + 1) * sizeof(*agent->cordons));

	if (!grown)
		return err_sys(err, ENOMEM, "cannot keep the cordon");
	agent->cordons = grown;
	return 0;
}

static int put(struct agent *agent, const struct cordon *cordon, struct err *err)
{
	struct cordon *known;
	int r;

	pthread_mutex_lock(&agent->lock);
	r = reserve_locked(agent, err);
	pthread_mutex_unlock(&agent->lock);
	if (r || registry_put_cordon(agent->records, cordon, err))
		return -1;
	pthread_mutex_lock(&agent->lock);
	known = find_locked(agent, cordon->slot);
	if (!known)
		known = &agent->cordons[agent->cordon_count++];
	*known = *cordon;
	agent_touch_locked(agent);
	pthread_mutex_unlock(&agent->lock);
	return 0;
}

int cordon_slot(struct agent *agent, struct pci_addr slot, const char *reason, struct err *err)
{
	struct cordon cordon = { .slot = slot, .since_ms = clock_realtime_ms() };
	int r;

	snprintf(cordon.reason, sizeof(cordon.reason), "%s", reason);
	if (check_slot(agent, slot, false, err))
		return -1;
	pthread_mutex_lock(&agent->registry_lock);
	r = put(agent, &cordon, err);
	pthread_mutex_unlock(&agent->registry_lock);
	if (r == 0)
		log_info("cordoned %s: %s", PCI_STR(slot), cordon.reason);
	return r;
}

static void remove_locked(struct agent *agent, struct pci_addr slot)
{
	struct cordon *known = find_locked(agent, slot);

	if (known)
		*known = agent->cordons[--agent->cordon_count];
	quarantine_end_locked(agent, slot);
	agent_touch_locked(agent);
}

int uncordon_slot(struct agent *agent, struct pci_addr slot, struct err *err)
{
	int r;

	if (check_slot(agent, slot, true, err))
		return -1;
	pthread_mutex_lock(&agent->registry_lock);
	r = registry_remove_cordon(agent->records, slot, err);
	r = r ? r : registry_remove_quarantine(agent->records, slot, err);
	if (r == 0) {
		pthread_mutex_lock(&agent->lock);
		remove_locked(agent, slot);
		pthread_mutex_unlock(&agent->lock);
	}
	pthread_mutex_unlock(&agent->registry_lock);
	if (r == 0)
		log_info("uncordoned %s", PCI_STR(slot));
	return r;
}

/* ---- Conditions --------------------------------------------------------------------- */

/* A slot that this host has no more is not shown. */
static void add(const struct agent *agent, struct host_view *view, struct pci_addr slot,
		enum slot_condition_kind kind, int64_t since_ms, const char *reason)
{
	struct slot_condition *condition = &view->conditions[view->condition_count];
	size_t index = inventory_find_slot(agent->inventory, slot);

	if (index == INVENTORY_NONE)
		return;
	view->condition_count++;
	*condition = (struct slot_condition){
		.slot = slot,
		.gpu = agent->inventory->slots[index].gpu,
		.kind = kind,
		.since_ms = since_ms,
	};
	snprintf(condition->reason, sizeof(condition->reason), "%s", reason);
}

static void add_leases(const struct agent *agent, struct host_view *view)
{
	int64_t boot_ms = clock_realtime_ms() - clock_monotonic_ms();

	for (size_t i = 0; i < agent->lease_count; i++) {
		const struct lease *lease = agent->leases[i];
		int64_t since_ms = boot_ms + lease->busy_since_ms;

		if (lease->unsettled)
			add(agent, view, lease->allocation.slot, SLOT_WEDGED, since_ms,
			    "the kernel has not answered");
		else if (lease->allocation.state == ALLOCATION_RELEASING && !lease->busy)
			add(agent, view, lease->allocation.slot, SLOT_DRAINING, since_ms,
			    lease->complaint[0] ? lease->complaint
						: "its release goes on in the background");
	}
}

int cordon_describe_locked(const struct agent *agent, struct host_view *view)
{
	view->conditions =
		calloc(agent->cordon_count + agent->failure_count + agent->lease_count + 1,
		       sizeof(*view->conditions));
	if (!view->conditions)
		return -ENOMEM;
	for (size_t i = 0; i < agent->cordon_count; i++)
		add(agent, view, agent->cordons[i].slot, SLOT_CORDONED, agent->cordons[i].since_ms,
		    agent->cordons[i].reason);
	for (size_t i = 0; i < agent->failure_count; i++) {
		const struct slot_failures *failures = &agent->failures[i];

		if (failures->count >= AGENT_FAILURES_MAX)
			add(agent, view, failures->slot, SLOT_QUARANTINED, failures->entry.since_ms,
			    failures->entry.reason);
	}
	add_leases(agent, view);
	return 0;
}
