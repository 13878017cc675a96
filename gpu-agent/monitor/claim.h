/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a device back from whoever it was granted to, and ruling out that somebody uses it.
 *
 * The kernel blocks whoever removes or unbinds a device that is open, so use is ruled out first,
 * and stays ruled out: the node goes back to root, and root's own descriptor of it keeps others
 * out until the device is gone.
 */

#ifndef GPU_AGENT_MONITOR_CLAIM_H
#define GPU_AGENT_MONITOR_CLAIM_H

#include "device.h"

/*
 * On success nobody uses the device, and nobody can until *ret_claim is closed (-1: it has no
 * node). -1: the job has ended, as in use with the holders sent as records, or otherwise.
 */
int claim_take(struct job *job, const struct device *device, int *ret_claim);

/* Ends the job as in use, after the holders were sent. how: why that is known. Returns -1. */
int claim_end_in_use(struct job *job, const struct device *device, const char *how);

#endif
