/* SPDX-License-Identifier: Apache-2.0 */
#include "claim.h"

#include <errno.h>

#include "access.h"
#include "holders.h"
#include "node.h"

int claim_end_in_use(struct job *job, const struct device *device, const char *how)
{
	struct holders holders;

	/* The kernel has decided; the names are for people. */
	if (holders_find(&job->host, device, &holders) == 0)
		access_send_holders(job, &holders);
	job_end(job, OP_IN_USE, 0, "%s is in use: %s", device->text, how);
	job->result.reason = OP_REASON_HELD;
	return -1;
}

/* A kernel without group nodes: the scan of /proc decides, and what it cannot see is a yes. */
static int rule_out_by_scan(struct job *job, const struct device *device)
{
	struct holders holders;
	int r = holders_find(&job->host, device, &holders);

	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot tell who uses %s", device->text);
		return -1;
	}
	if (holders.count == 0 && !holders.incomplete)
		return 0;
	access_send_holders(job, &holders);
	job_end(job, OP_IN_USE, 0, "%s may be in use: %s", device->text,
		holders.count ? "a process has VFIO devices open"
			      : "there are processes that cannot be looked at");
	job->result.reason = OP_REASON_HELD;
	return -1;
}

int claim_take(struct job *job, const struct device *device, int *ret_claim)
{
	struct node node = NODE_CLOSED;
	int r;

	*ret_claim = -1;
	if (device->half_removed)
		return claim_end_in_use(job, device, "an earlier removal waits for its holder");
	if (device->iommu_group == OPS_NO_GROUP)
		return 0; /* no driver, so nothing that could be open */
	r = node_open(&job->host, device->iommu_group, &node);
	if (r == -ENOENT)
		return rule_out_by_scan(job, device);
	if (r == 0)
		r = node_grant(&node, 0);
	if (r == 0)
		r = node_claim(&node);
	node_close(&node);
	if (r == -EBUSY)
		return claim_end_in_use(job, device, "its VFIO group is open");
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot take back the node of %s, group %u",
			device->text, device->iommu_group);
		return -1;
	}
	*ret_claim = r;
	return 0;
}
