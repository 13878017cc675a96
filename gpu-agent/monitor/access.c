/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_GRANT_NODE, OP_REVOKE_NODE, OP_FIND_HOLDERS.
 *
 * A grant is to a group, never to an owner: an owner inside a VM's jail could change the mode.
 */
#include "access.h"

#include <string.h>

#include "common/log.h"
#include "node.h"

static int find_node(struct job *job, struct op_mdev *ret_mdev, struct node *ret)
{
	struct journal_entry entry;
	int r;

	if (job_find_ours(job, &entry, ret_mdev) <= 0)
		return -1;
	if (ret_mdev->iommu_group == OPS_NO_GROUP) {
		job_end(job, OP_NOT_FOUND, 0, "mdev %s has no IOMMU group: no VFIO driver has it",
			ret_mdev->uuid);
		return -1;
	}
	r = node_open(&job->host, ret_mdev->iommu_group, ret);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot use the node of mdev %s, group %u",
			ret_mdev->uuid, ret_mdev->iommu_group);
		return -1;
	}
	return 0;
}

/*
 * udev runs its rules for a new device some time after the kernel made it, and rules for
 * SUBSYSTEM=="vfio" are common: what was granted is looked at again once udev is done, and
 * granted a second time if need be. The node is opened anew, for a rebind makes a new one.
 */
static int settle(struct job *job, const struct op_mdev *mdev, gid_t gid)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		struct node node = NODE_CLOSED;
		int r;

		node_settle(&job->host);
		r = node_open(&job->host, mdev->iommu_group, &node);
		if (r == 0)
			r = node_is_granted(&node, gid);
		if (r == 0 && attempt == 0)
			(void)node_grant(&node, gid); /* the next look will tell */
		node_close(&node);
		if (r < 0) {
			job_end(job, OP_KERNEL, r, "cannot look at the node of mdev %s",
				mdev->uuid);
			return -1;
		}
		if (r > 0)
			return 0;
	}
	job_end(job, OP_UNVERIFIED, 0,
		"the node of group %u does not keep its owner and mode: is there a udev rule for "
		"SUBSYSTEM==\"vfio\"?",
		mdev->iommu_group);
	return -1;
}

static void set_access(struct job *job, gid_t gid)
{
	struct node node = NODE_CLOSED;
	struct op_mdev mdev;
	int r;

	if (find_node(job, &mdev, &node) < 0)
		return;
	r = node_grant(&node, gid);
	node_close(&node);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot change the node of mdev %s, group %u", mdev.uuid,
			mdev.iommu_group);
		return;
	}
	if (settle(job, &mdev, gid) < 0)
		return;
	log_info("node of group %u (mdev %s) is for group id %u", mdev.iommu_group, mdev.uuid, gid);
	job_end(job, OP_OK, 0, "node of group %u is for group id %u", mdev.iommu_group, gid);
}

void access_grant_run(struct job *job)
{
	if (!policy_may_grant(job->policy, job->request.gid)) {
		job_end(job, OP_REFUSED, 0, "group id %u is not within grant-gids",
			job->request.gid);
		return;
	}
	set_access(job, job->request.gid);
}

void access_revoke_run(struct job *job)
{
	set_access(job, 0);
}

void access_send_holders(struct job *job, const struct holders *holders)
{
	for (size_t i = 0; i < holders->count; i++) {
		struct op_record record;

		memset(&record, 0, sizeof(record)); /* no stray bytes cross */
		record.version = OPS_VERSION;
		record.kind = OP_RECORD_HOLDER;
		record.holder = holders->items[i];
		job_send(job, &record);
	}
}

void access_holders_run(struct job *job)
{
	struct holders holders;
	struct journal_entry entry;
	struct op_mdev mdev;
	int r;

	if (job_find_ours(job, &entry, &mdev) <= 0)
		return;
	r = holders_find(&job->host, &mdev, &holders);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot tell who uses mdev %s", mdev.uuid);
		return;
	}
	access_send_holders(job, &holders);
	job_end(job, OP_OK, 0, "%zu processes have mdev %s open", holders.count, mdev.uuid);
}
