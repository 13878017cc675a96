/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_SCAN: the inventory of the host, or of some of its GPUs, as records.
 */
#include "scan.h"

#include <errno.h>

#include "pci.h"
#include "plan.h"
#include "request.h"

/*
 * Links answer also while a driver hangs, so a function that is left out is not waited for.
 */
static bool is_in_scope(const struct scan *scan, struct pci_addr address)
{
	struct pci_addr gpu;

	if (pci_read_physical(scan->sysfs, address, &gpu) < 0)
		gpu = address;
	return request_is_in_scope(&scan->job->request, gpu);
}

static void scan_all(const struct scan *scan)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;
	int r = tree_list(scan->sysfs, &dir, "bus/pci/devices");

	if (r < 0) {
		job_end(scan->job, OP_KERNEL, r, "cannot list the PCI devices");
		return;
	}
	errno = 0;
	while ((entry = readdir(dir))) {
		if (pci_addr_parse(entry->d_name, &address) == 0 && is_in_scope(scan, address))
			scan_function(scan, address);
		errno = 0;
	}
	if (errno != 0) {
		job_end(scan->job, OP_KERNEL, errno, "cannot list the PCI devices");
		return;
	}
	scan_bindings(scan);
	job_end(scan->job, OP_OK, 0, "%u records", scan->job->result.records);
}

void scan_run(struct job *job)
{
	struct scan_types_known known = { 0 };
	struct scan scan = { .job = job, .sysfs = &job->host.sysfs, .known = &known };
	struct err err;

	/* Before the host is looked at: what root makes meanwhile is not taken for foreign later.
	 */
	if (journal_load(&job->journal, &scan.journal, &err) < 0) {
		job_end(job, OP_FAILED, 0, "%s", err.message);
		return;
	}
	scan.names = pci_names_new();
	scan.has_nvswitch = plan_has_nvswitch(&job->host, &job->request) == 1;
	scan_all(&scan);
	pci_names_free(scan.names);
	scan_types_known_done(&known);
	journal_entries_done(&scan.journal);
}
