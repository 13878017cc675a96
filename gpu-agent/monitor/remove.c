/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_REMOVE_MDEV: what root made and nobody uses.
 *
 * The claim is held across the write, which the kernel would block while somebody has the device
 * open.
 */
#include "job.h"

#include "claim.h"
#include "common/log.h"
#include "mdev.h"

static void verify(struct job *job, const struct journal_entry *entry, int error)
{
	struct op_mdev mdev;
	int there = mdev_find(&job->host.sysfs, entry->uuid, entry->parent, &mdev);

	if (there == 0) {
		job_note(job, entry, JOURNAL_REMOVED);
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
	struct device device;
	scoped_fd int held = -1;
	int r = device_find_ours(job, JOURNAL_MDEV, &entry, &device);

	/*
	 * Gone without our doing. An intent stays: its writer may be stuck in the kernel, and
	 * the device may yet appear.
	 */
	if (r == 0 && entry.state == JOURNAL_CREATED)
		job_note(job, &entry, JOURNAL_REMOVED);
	if (r <= 0 || claim_take(job, &device, &held) < 0)
		return;
	r = tree_write(&job->host.sysfs, "1", "bus/pci/devices/%s/remove", device.path);
	verify(job, &entry, r);
}
