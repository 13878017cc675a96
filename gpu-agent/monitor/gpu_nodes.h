/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device nodes that host drivers made for GPUs, as files that can be compared with what a
 * process has open.
 */

#ifndef GPU_AGENT_MONITOR_GPU_NODES_H
#define GPU_AGENT_MONITOR_GPU_NODES_H

#include <sys/stat.h>

#include "common/pci_addr.h"
#include "host.h"

#define GPU_NODES_MAX 512

struct gpu_node {
	uint32_t gpus;	/* bit i: of the i-th GPU asked about; 0: of another GPU */
	bool is_guess;	/* of some GPU of the driver, unknown which */
	bool is_shared; /* by all GPUs of the driver: says nothing beside a node of one */
	char name[64];	/* beneath /dev: "nvidia0", "dri/card1" */
	struct statx st;
};

struct gpu_nodes {
	size_t count;
	struct gpu_node items[GPU_NODES_MAX];
};

/* Of each GPU, and of the other functions in its slot. 0 or -errno; -E2BIG: too many. */
int gpu_nodes_find(const struct host *host, const struct pci_addr *gpus, size_t count,
		   struct gpu_nodes *ret);

#endif
