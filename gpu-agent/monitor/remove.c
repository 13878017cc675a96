/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_REMOVE_MDEV: what root made and nobody uses.
 *
 * The kernel blocks a write to "remove" for as long as somebody has the device open, so use
 * is ruled out first, and stays ruled out: the node goes back to root, and root's own
 * descriptor of it keeps others out until the device is gone.
 */
#include "job.h"

#include <errno.h>

#include "access.h"
#include "common/log.h"
#include "mdev.h"
#include "node.h"

static void forget(struct job *job, const struct journal_entry *entry)
{
	struct err err;

	if (journal_append(&job->journal, entry, JOURNAL_REMOVED, &err) < 0)
		log_error("%s", err.message); /* the entry fits no device any more */
}

/* Sends who holds the device; the count, or -errno. */
static int report_holders(struct job *job, const struct op_mdev *mdev)
{
	struct holders holders;
	int r = holders_find(&job->host, mdev, &holders);

	if (r < 0)
		return r;
	access_send_holders(job, &holders);
	return (int)holders.count;
}

static int end_in_use(struct job *job, const struct op_mdev *mdev, const char *how)
{
	(void)report_holders(job, mdev); /* EBUSY decided; the names are for people */
	job_end(job, OP_IN_USE, 0, "mdev %s is in use: %s", mdev->uuid, how);
	return -1;
}

/* A kernel without group nodes: the scan of /proc decides, and a guess counts as a yes. */
static int rule_out_by_scan(struct job *job, const struct op_mdev *mdev)
{
	int count = report_holders(job, mdev);

	if (count == 0)
		return 0;
	if (count < 0)
		job_end(job, OP_KERNEL, count, "cannot tell who uses mdev %s", mdev->uuid);
	else
		job_end(job, OP_IN_USE, 0, "mdev %s may be in use: a process has VFIO devices open",
			mdev->uuid);
	return -1;
}

/* On success nobody uses the device, and nobody can until *ret_claim is closed (-1: no node). */
static int claim(struct job *job, const struct op_mdev *mdev, int *ret_claim)
{
	struct node node = NODE_CLOSED;
	int r;

	*ret_claim = -1;
	if (mdev->half_removed)
		return end_in_use(job, mdev, "an earlier removal waits for its holder");
	if (mdev->iommu_group == OPS_NO_GROUP)
		return 0; /* no driver, so nothing that could be open */
	r = node_open(&job->host, mdev->iommu_group, &node);
	if (r == -ENOENT)
		return rule_out_by_scan(job, mdev);
	if (r == 0)
		r = node_grant(&node, 0);
	if (r == 0)
		r = node_claim(&node);
	node_close(&node);
	if (r == -EBUSY)
		return end_in_use(job, mdev, "its VFIO group is open");
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot take back the node of mdev %s, group %u",
			mdev->uuid, mdev->iommu_group);
		return -1;
	}
	*ret_claim = r;
	return 0;
}

static void verify(struct job *job, const struct journal_entry *entry, int error)
{
	struct op_mdev mdev;
	int there = mdev_find(&job->host.sysfs, entry->uuid, entry->parent, &mdev);

	if (there == 0) {
		forget(job, entry);
		log_info("removed mdev %s from %s", entry->uuid, PCI_STR(entry->parent));
		job_end(job, OP_OK, 0, "removed mdev %s", entry->uuid);
	} else if (there > 0 && mdev.half_removed) {
		job_end(job, OP_IN_USE, error, "mdev %s waits for its holder to be gone",
			entry->uuid);
	} else if (there < 0 || error == 0) {
		job_end(job, OP_UNVERIFIED, there < 0 ? there : 0,
			"mdev %s was removed, but that cannot be seen", entry->uuid);
	} else {
		job_end(job, OP_KERNEL, error, "cannot remove mdev %s", entry->uuid);
	}
}

void remove_run(struct job *job)
{
	struct journal_entry entry;
	struct op_mdev mdev;
	scoped_fd int held = -1;
	int r = job_find_ours(job, &entry, &mdev);

	/*
	 * Gone without our doing. An intent stays: its writer may be stuck in the kernel, and
	 * the device may yet appear.
	 */
	if (r == 0 && entry.state == JOURNAL_CREATED)
		forget(job, &entry);
	if (r <= 0)
		return;
	if (pci_addr_compare(entry.parent, job->request.parent) != 0) {
		job_end(job, OP_REFUSED, 0, "mdev %s is not on that parent but on %s", entry.uuid,
			PCI_STR(entry.parent));
		return;
	}
	if (claim(job, &mdev, &held) < 0)
		return;
	r = tree_write(&job->host.sysfs, "1", "bus/pci/devices/%s/%s/remove", PCI_STR(entry.parent),
		       entry.uuid);
	verify(job, &entry, r);
}
