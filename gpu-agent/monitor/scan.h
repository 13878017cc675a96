/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of OP_SCAN: one function, what is below it, and how a GPU could be passed through.
 *
 * A file that is not there means "none" where the kernel leaves it out for that (numa_node,
 * sriov_totalvfs, name). A read that fails means "unknown", and is never told as a zero: a GPU
 * whose files cannot be read is neither empty nor free.
 */

#ifndef GPU_AGENT_MONITOR_SCAN_H
#define GPU_AGENT_MONITOR_SCAN_H

#include "job.h"
#include "pci_names.h"

/* mdev types that were read, by GPU and name. */
struct scan_types_known {
	void *root; /* owned: of tsearch() */
};

struct scan {
	struct job *job;
	const struct tree *sysfs; /* the job's */
	struct journal_entries journal;
	struct pci_names *names;
	bool has_nvswitch;
	struct scan_types_known *known; /* borrowed */
};

/* Sends the function if it matters, and then what is below it. */
void scan_function(const struct scan *scan, struct pci_addr address);

/*
 * mdev types and mdevs, the types of a virtual function, and the members of a GPU's IOMMU group.
 * With send false only pci is brought up to date, because it is told before what is below it.
 */
void scan_types(const struct scan *scan, struct op_pci *pci, bool send);
void scan_mdevs(const struct scan *scan, struct op_pci *pci, bool send);
void scan_vendor(const struct scan *scan, const struct op_pci *pci);
void scan_passthrough(const struct scan *scan, struct op_pci *pci, bool send);

void scan_types_known_done(struct scan_types_known *known);

/* Root's bindings within the scope. */
void scan_bindings(const struct scan *scan);

#endif
