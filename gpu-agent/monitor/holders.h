/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes have a VFIO device open or mapped, from /proc/PID/fd and maps of everybody.
 *
 * This is for naming them to people. Whether a device is in use is what node_claim() says,
 * except on a kernel without group nodes, where this decides, and a guess, or a process that
 * cannot be looked at, counts as a yes.
 */

#ifndef GPU_AGENT_MONITOR_HOLDERS_H
#define GPU_AGENT_MONITOR_HOLDERS_H

#include "device.h"

#define HOLDERS_MAX 64

struct holders {
	size_t count;
	struct op_holder items[HOLDERS_MAX]; /* more are dropped: enough to say "in use" */
	bool incomplete;		     /* some process could not be looked at */
};

/* 0 or -errno. The calling process does not count. */
int holders_find(const struct host *host, const struct device *device, struct holders *ret);

#endif
