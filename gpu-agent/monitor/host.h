/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host a worker works on: its /sys and its /dev, real or simulated, never one of each.
 * Group 36 of a simulated host must not open the real /dev/vfio/36.
 */

#ifndef GPU_AGENT_MONITOR_HOST_H
#define GPU_AGENT_MONITOR_HOST_H

#include <stdbool.h>

#include "common/err.h"
#include "common/scoped.h"
#include "tree.h"

struct host {
	struct tree sysfs;
	struct tree dev;
	bool simulated; /* sysfs is not the kernel's */
};

#define HOST_CLOSED ((struct host){ .sysfs.root = -1, .dev.root = -1 })

/* Compares by device and inode, so that other spellings of /sys and /dev count as them. */
int host_open(const char *sysfs_root, const char *dev_root, struct host *ret, struct err *err);
void host_close(struct host *host);

#endif
