/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether vGPUs can be created now: what the functions of each GPU offer, looked at one by
 * one in any order, and told GPU by GPU.
 */

#ifndef GPU_AGENT_MONITOR_CHECK_TYPES_H
#define GPU_AGENT_MONITOR_CHECK_TYPES_H

#include "check.h"

struct check_types {
	size_t count;
	struct check_types_gpu {
		struct pci_addr address;
		unsigned functions; /* that can carry vGPUs, and could be read */
		unsigned creatable; /* of them, those that list a type now */
		unsigned used;	    /* and those that have a vGPU */
	} gpus[OPS_GPUS_MAX];
};

/* A function without vGPU types says nothing; one that cannot be read is a finding. */
void check_types_look(const struct check *check, struct pci_addr gpu, struct pci_addr function,
		      struct check_types *types);

/* Returns the number of functions on GPUs that make vGPUs. */
unsigned check_types_report(const struct check *check, const struct check_types *types);

#endif
