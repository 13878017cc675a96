/* SPDX-License-Identifier: Apache-2.0 */
#include "quarantine.h"

#include <errno.h>
#include <stdio.h>

#include "clock.h"
#include "common/log.h"

static struct slot_failures *find_locked(const struct agent *agent, struct pci_addr slot)
{
	for (size_t i = 0; i < agent->failure_count; i++)
		if (pci_addr_compare(agent->failures[i].slot, slot) == 0)
			return &agent->failures[i];
	return NULL;
}

/* NULL: out of memory. */
static struct slot_failures *add_locked(struct agent *agent, struct pci_addr slot)
{
	struct slot_failures *failures =
		realloc(agent->failures, (agent->failure_count + 1) * sizeof(*failures));

	if (!failures)
		return NULL;
	agent->failures = failures;
	failures[agent->failure_count] = (struct slot_failures){ .slot = slot };
	return &failures[agent->failure_count++];
}

int quarantine_load(struct agent *agent, struct err *err)
{
	scoped_free struct cordon *rows = NULL;
	size_t count = 0;

	if (registry_load_quarantines(agent->records, &rows, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct slot_failures *failures = add_locked(agent, rows[i].slot);

		if (!failures)
			return err_sys(err, ENOMEM, "cannot load the quarantines");
		failures->count = AGENT_FAILURES_MAX;
		failures->entry = rows[i];
	}
	return 0;
}

static void forgive(struct agent *agent, struct pci_addr slot)
{
	struct slot_failures *failures;

	pthread_mutex_lock(&agent->lock);
	failures = find_locked(agent, slot);
	if (failures && failures->count && failures->count < AGENT_FAILURES_MAX) {
		failures->count = 0;
		agent_touch_locked(agent);
	}
	pthread_mutex_unlock(&agent->lock);
}

/* Whether that was one too many. */
static bool count_failure(struct agent *agent, struct pci_addr slot, const char *failure,
			  struct cordon *ret)
{
	struct slot_failures *failures;
	bool is_last = false;

	pthread_mutex_lock(&agent->lock);
	failures = find_locked(agent, slot);
	if (!failures)
		failures = add_locked(agent, slot);
	if (failures && failures->count < AGENT_FAILURES_MAX) {
		is_last = ++failures->count == AGENT_FAILURES_MAX;
		failures->entry.slot = slot;
		failures->entry.since_ms = clock_realtime_ms();
		snprintf(failures->entry.reason, sizeof(failures->entry.reason),
			 "%u creates in a row failed, the last: %s", failures->count, failure);
		*ret = failures->entry;
		agent_touch_locked(agent);
	}
	pthread_mutex_unlock(&agent->lock);
	return is_last;
}

void quarantine_judge(struct agent *agent, struct pci_addr slot, const char *failure)
{
	struct cordon entry;
	struct err err;

	if (!failure) {
		forgive(agent, slot);
		return;
	}
	/* So that nobody ends it between here and its record. */
	pthread_mutex_lock(&agent->registry_lock);
	if (count_failure(agent, slot, failure, &entry)) {
		log_warning("%s: %s; not using it until it is uncordoned", PCI_STR(slot),
			    entry.reason);
		if (registry_put_quarantine(agent->records, &entry, &err))
			log_warning("%s, a restart forgets the quarantine of %s", err.message,
				    PCI_STR(slot));
	}
	pthread_mutex_unlock(&agent->registry_lock);
}

bool quarantine_has_locked(const struct agent *agent, struct pci_addr slot)
{
	const struct slot_failures *failures = find_locked(agent, slot);

	return failures && failures->count >= AGENT_FAILURES_MAX;
}

void quarantine_end_locked(struct agent *agent, struct pci_addr slot)
{
	struct slot_failures *failures = find_locked(agent, slot);

	if (failures)
		failures->count = 0;
}
