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
static struct pci_addr gpu_of(const struct scan *scan, struct pci_addr address)
{
	struct pci_addr gpu;

	return pci_read_physical(scan->sysfs, address, &gpu) < 0 ? address : gpu;
}

/* What comes next may hang: serve wants to know where. */
static void announce(const struct scan *scan, struct pci_addr gpu)
{
	struct op_record record;

	job_record_init(&record, OP_RECORD_SCANNING);
	record.scanning.gpu = gpu;
	record.scanning.class_code = OPS_UNKNOWN_CLASS;
	job_send(scan->job, &record);
}

static void tell_identity(const struct scan *scan, struct pci_addr gpu,
			  const struct pci_identity *identity)
{
	struct op_record record;
	struct op_scanning *scanning = &record.scanning;

	job_record_init(&record, OP_RECORD_SCANNING);
	scanning->gpu = gpu;
	scanning->class_code = identity->class_code;
	scanning->vendor = identity->vendor;
	scanning->device = identity->device;
	if (policy_is_gpu(scan->job->policy, identity->class_code))
		pci_names_find(scan->names, identity->vendor, identity->device, scanning->name,
			       sizeof(scanning->name));
	job_send(scan->job, &record);
}

/* Calls visit for each function in scope, announced. 0 or an errno, negative or not. */
static int for_each_function(const struct scan *scan,
			     void (*visit)(const struct scan *scan, struct pci_addr address))
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;
	int r = tree_list(scan->sysfs, &dir, "bus/pci/devices");

	if (r < 0)
		return r;
	errno = 0;
	while ((entry = readdir(dir))) {
		if (pci_addr_parse(entry->d_name, &address) == 0) {
			struct pci_addr gpu = gpu_of(scan, address);

			if (request_is_in_scope(&scan->job->request, gpu)) {
				announce(scan, gpu);
				visit(scan, address);
			}
		}
		errno = 0;
	}
	return errno;
}

/* Looking for NVSwitches reads this of every function, and does not say of which. */
static void try_identity(const struct scan *scan, struct pci_addr address)
{
	struct pci_identity identity;

	if (pci_read_identity(scan->sysfs, address, &identity) == 0 &&
	    pci_addr_compare(gpu_of(scan, address), address) == 0)
		tell_identity(scan, address, &identity);
}

static void scan_all(const struct scan *scan)
{
	int r = for_each_function(scan, scan_function);

	if (r != 0) {
		job_end(scan->job, OP_KERNEL, r, "cannot list the PCI devices");
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
	(void)for_each_function(&scan, try_identity);
	scan.has_nvswitch = plan_has_nvswitch(&job->host, &job->request) == 1;
	scan_all(&scan);
	pci_names_free(scan.names);
	scan_types_known_done(&known);
	journal_entries_done(&scan.journal);
}
