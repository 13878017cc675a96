/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an entry of root's journal stands for on this host, as far as VFIO gives it out: an mdev,
 * a virtual function with a vendor type, or a GPU that is bound whole.
 */

#ifndef GPU_AGENT_MONITOR_DEVICE_H
#define GPU_AGENT_MONITOR_DEVICE_H

#include <stdbool.h>

#include "job.h"

#define DEVICE_PATH_MAX 64

struct device {
	char text[OPS_NAME_MAX];    /* for people: "mdev aa61...", "GPU 0000:82:00.0" */
	char path[DEVICE_PATH_MAX]; /* beneath bus/pci/devices */
	char tag[40];		    /* part of the path that a VFIO device descriptor tells */
	uint32_t iommu_group;	    /* OPS_NO_GROUP: no node */
	bool half_removed;	    /* an mdev whose removal waits for its holder */
};

/*
 * The device of the request's uuid, when it is one that root made: 1 with both filled. Else the
 * job has ended: 0 when it is gone (the entry is filled if root made it), -1 when it is not ours
 * or cannot be known. kind: what it must be; 0: anything.
 */
int device_find_ours(struct job *job, enum journal_kind kind, struct journal_entry *ret_entry,
		     struct device *ret);

/* The same of an entry at hand: 1, 0 gone, or -errno; -EEXIST: somebody else's is in its place. */
int device_of_entry(const struct host *host, const struct journal_entry *entry, struct device *ret);

#endif
