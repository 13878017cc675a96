/* SPDX-License-Identifier: Apache-2.0 */
#include "suspects.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "clock.h"
#include "common/log.h"

#define RETRY_MS 5000 /* when no worker could be had, or it ended without an answer */

static bool same_address(struct pci_addr a, struct pci_addr b)
{
	return pci_addr_compare(a, b) == 0;
}

static bool contains(const struct pci_addr *list, size_t count, struct pci_addr address)
{
	for (size_t i = 0; i < count; i++)
		if (same_address(list[i], address))
			return true;
	return false;
}

/* The function or GPU that the record is about. */
static struct pci_addr subject_of(const struct op_record *record)
{
	switch (record->kind) {
	case OP_RECORD_PCI:
		return record->pci.address;
	case OP_RECORD_MDEV_TYPE:
		return record->mdev_type.parent;
	case OP_RECORD_MDEV:
		return record->mdev.parent;
	case OP_RECORD_VENDOR_VF:
		return record->vendor_vf.address;
	case OP_RECORD_VENDOR_TYPE:
		return record->vendor_type.address;
	case OP_RECORD_GROUP_MEMBER:
		return record->group_member.gpu;
	case OP_RECORD_BINDING:
		return record->binding.address;
	case OP_RECORD_SCANNING:
		return record->scanning.gpu;
	}
	return (struct pci_addr){ 0 };
}

/* ---- Waiting for one --------------------------------------------------------------- */

struct probe {
	struct agent *agent;
	struct pci_addr gpu;
};

static void remove_locked(struct agent *agent, struct pci_addr gpu)
{
	for (size_t i = 0; i < agent->suspect_count; i++)
		if (same_address(agent->suspects[i], gpu)) {
			agent->suspects[i] = agent->suspects[--agent->suspect_count];
			return;
		}
}

/* Waits until the GPU can be read. False: the end came first. */
static bool wait_for_answer(struct agent *agent, struct pci_addr gpu)
{
	const struct op_request request = {
		.version = OPS_VERSION,
		.kind = OP_SCAN,
		.scope = OP_SCOPE_ONLY,
		.gpu_count = 1,
		.gpus = { gpu },
	};
	bool stopping = false;

	while (!stopping) {
		scoped(outcome_done) struct outcome outcome = { 0 };
		int64_t retry_ms;

		monitor_client_scan(agent->monitor, &request, INT_MAX, agent->stop_fd, &outcome);
		if (outcome.kind == OUTCOME_ANSWERED && outcome.result.status == OP_OK)
			return true;
		retry_ms = clock_monotonic_ms() + RETRY_MS;
		pthread_mutex_lock(&agent->lock);
		while (!agent->stopping && clock_monotonic_ms() < retry_ms)
			(void)agent_wait_locked(agent, retry_ms);
		stopping = agent->stopping;
		pthread_mutex_unlock(&agent->lock);
	}
	return false;
}

static void *probe_thread(void *argument)
{
	scoped_free struct probe *probe = argument;
	struct agent *agent = probe->agent;
	bool answers = wait_for_answer(agent, probe->gpu);

	if (answers)
		log_info("the kernel answers for %s again", PCI_STR(probe->gpu));
	pthread_mutex_lock(&agent->lock);
	if (answers) {
		remove_locked(agent, probe->gpu);
		(void)agent_request_scan_locked(agent, 0);
	}
	agent->probes--;
	pthread_cond_broadcast(&agent->changed);
	pthread_mutex_unlock(&agent->lock);
	return NULL;
}

static int start_probe_locked(struct agent *agent, struct pci_addr gpu)
{
	struct probe *probe = malloc(sizeof(*probe));
	pthread_t thread;
	int r;

	if (!probe)
		return -ENOMEM;
	*probe = (struct probe){ agent, gpu };
	r = pthread_create(&thread, NULL, probe_thread, probe);
	if (r) {
		free(probe);
		return -r;
	}
	pthread_detach(thread);
	agent->probes++;
	return 0;
}

static bool was_seen(const struct agent *agent, struct pci_addr gpu)
{
	for (size_t i = 0; i < agent->seen_count; i++)
		if (same_address(subject_of(&agent->seen[i]), gpu))
			return true;
	return false;
}

/* What the scan that hung at it says of one that never answered: its address, at least. */
static struct op_record describe(struct pci_addr gpu, const struct outcome *outcome)
{
	struct op_record record;
	struct op_pci *pci = &record.pci;

	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_PCI;
	pci->address = gpu;
	pci->incomplete = 1;
	pci->class_code = OPS_UNKNOWN_CLASS;
	pci->numa_node = pci->sriov_total = pci->sriov_enabled = OPS_UNKNOWN;
	pci->iommu_group = OPS_NO_GROUP;
	for (size_t i = 0; i < outcome->record_count; i++) {
		const struct op_scanning *scanning = &outcome->records[i].scanning;

		if (outcome->records[i].kind != OP_RECORD_SCANNING ||
		    !same_address(scanning->gpu, gpu) || scanning->class_code == OPS_UNKNOWN_CLASS)
			continue;
		pci->class_code = scanning->class_code;
		pci->vendor = scanning->vendor;
		pci->device = scanning->device;
		memcpy(pci->name, scanning->name, sizeof(pci->name));
	}
	return record;
}

static void remember(struct agent *agent, struct pci_addr gpu, const struct outcome *outcome)
{
	struct op_record *grown;

	if (was_seen(agent, gpu))
		return;
	grown = realloc(agent->seen, (agent->seen_count + 1) * sizeof(*grown));
	if (!grown) {
		log_error("out of memory: %s is not listed", PCI_STR(gpu));
		return;
	}
	agent->seen = grown;
	grown[agent->seen_count++] = describe(gpu, outcome);
}

bool suspects_add(struct agent *agent, struct pci_addr gpu, const struct outcome *outcome)
{
	bool added = false;

	remember(agent, gpu, outcome);

	pthread_mutex_lock(&agent->lock);
	if (!agent->stopping && agent->suspect_count < OPS_GPUS_MAX &&
	    !contains(agent->suspects, agent->suspect_count, gpu) &&
	    start_probe_locked(agent, gpu) == 0) {
		agent->suspects[agent->suspect_count++] = gpu;
		added = true;
	}
	pthread_mutex_unlock(&agent->lock);
	if (added)
		log_error("the kernel does not answer for %s, going on without it", PCI_STR(gpu));
	return added;
}

void suspects_wait_end(struct agent *agent)
{
	pthread_mutex_lock(&agent->lock);
	while (agent->probes)
		pthread_cond_wait(&agent->changed, &agent->lock);
	pthread_mutex_unlock(&agent->lock);
}

/* ---- Scanning the others ------------------------------------------------------------- */

void suspects_leave_out(struct agent *agent, struct op_request *request)
{
	pthread_mutex_lock(&agent->lock);
	request->scope = agent->suspect_count ? OP_SCOPE_EXCEPT : OP_SCOPE_ALL;
	request->gpu_count = (uint32_t)agent->suspect_count;
	memcpy(request->gpus, agent->suspects, agent->suspect_count * sizeof(*request->gpus));
	pthread_mutex_unlock(&agent->lock);
}

static int append(struct outcome *outcome, const struct op_record *record)
{
	struct op_record *grown =
		realloc(outcome->records, (outcome->record_count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	outcome->records = grown;
	grown[outcome->record_count++] = *record;
	return 0;
}

/* One GPU's records: those of its functions follow the function. */
static int append_seen(const struct agent *agent, struct pci_addr gpu, struct outcome *outcome)
{
	struct pci_addr function = gpu;
	bool known = false;

	for (size_t i = 0; i < agent->seen_count; i++) {
		const struct op_record *record = &agent->seen[i];

		if (record->kind == OP_RECORD_PCI) {
			function = record->pci.address;
			known = same_address(record->pci.is_virtual ? record->pci.physfn : function,
					     gpu);
		}
		if (((known && same_address(subject_of(record), function)) ||
		     same_address(subject_of(record), gpu)) &&
		    append(outcome, record))
			return -ENOMEM;
	}
	return 0;
}

int suspects_complete(struct agent *agent, const struct op_request *request,
		      struct outcome *outcome)
{
	struct op_record *copy;

	for (uint32_t i = 0; i < request->gpu_count; i++)
		if (append_seen(agent, request->gpus[i], outcome))
			return -ENOMEM;
	copy = malloc((outcome->record_count + 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	if (outcome->record_count)
		memcpy(copy, outcome->records, outcome->record_count * sizeof(*copy));
	free(agent->seen);
	agent->seen = copy;
	agent->seen_count = outcome->record_count;
	return 0;
}
