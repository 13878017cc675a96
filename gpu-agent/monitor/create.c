/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_CREATE_MDEV: policy, journal, kernel, and a look at what the kernel made.
 */
#include "job.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "mdev.h"

#define PARENT "bus/pci/devices/%s"

static int check_free(struct job *job)
{
	const struct op_request *request = &job->request;
	struct op_mdev mdev;
	int r = mdev_find(&job->host.sysfs, request->uuid, request->parent, &mdev);

	if (r != 0) {
		if (r > 0 || r == -ENOTSUP)
			job_end(job, OP_EXISTS, 0, "an mdev %s exists", request->uuid);
		else
			job_end(job, OP_KERNEL, r, "cannot tell whether mdev %s exists",
				request->uuid);
		return -1;
	}
	r = tree_exists(&job->host.sysfs, PARENT "/mdev_supported_types/%s/create",
			PCI_STR(request->parent), request->type);
	if (r <= 0) {
		job_end(job, r == 0 ? OP_NOT_FOUND : OP_KERNEL, r, "%s has no mdev type %s",
			PCI_STR(request->parent), request->type);
		return -1;
	}
	return 0;
}

/* The kernel said no. Its errno names no reason reliably, so the state is read again. */
static void end_refused(struct job *job, const struct journal_entry *entry, int error)
{
	struct op_mdev mdev;
	int there = mdev_find(&job->host.sysfs, entry->uuid, entry->parent, &mdev);

	/* EEXIST: somebody else made it between our look and our write. */
	if (error == -EEXIST) {
		job_note(job, entry, JOURNAL_FAILED);
		job_end(job, OP_EXISTS, error, "cannot create mdev %s", entry->uuid);
	} else if (there == 0) {
		job_note(job, entry, JOURNAL_FAILED);
		job_end(job, OP_KERNEL, error, "cannot create mdev %s of type %s on %s",
			entry->uuid, entry->type, PCI_STR(entry->parent));
	} else {
		job_end(job, OP_UNVERIFIED, error, "mdev %s exists although its creation failed",
			entry->uuid);
	}
}

static void verify(struct job *job, const struct journal_entry *entry)
{
	struct op_mdev mdev;
	int there = mdev_find(&job->host.sysfs, entry->uuid, entry->parent, &mdev);

	if (there == 1)
		job_note(job, entry, JOURNAL_CREATED);
	if (there != 1 || pci_addr_compare(mdev.parent, entry->parent) != 0 ||
	    strcmp(mdev.type, entry->type) != 0 || mdev.half_removed) {
		job_end(job, OP_UNVERIFIED, there < 0 ? there : 0,
			"mdev %s was created, but is not there as type %s on %s", entry->uuid,
			entry->type, PCI_STR(entry->parent));
		return;
	}
	if (mdev.iommu_group == OPS_NO_GROUP) {
		job_end(job, OP_UNVERIFIED, 0, "mdev %s was created, but no VFIO driver took it",
			entry->uuid);
		return;
	}
	log_info("created mdev %s of type %s on %s, group %u", entry->uuid, entry->type,
		 PCI_STR(entry->parent), mdev.iommu_group);
	mdev.in_journal = 1;
	job_send_mdev(job, &mdev);
	job_end(job, OP_OK, 0, "created mdev %s", entry->uuid);
}

void create_run(struct job *job)
{
	struct journal_entry entry = { .kind = JOURNAL_MDEV, .parent = job->request.parent };
	int r;

	strcpy(entry.uuid, job->request.uuid);
	strcpy(entry.type, job->request.type);
	if (job_may_touch(job, entry.parent) < 0 || check_free(job) < 0 ||
	    job_begin(job, &entry) < 0)
		return;

	/* Killed from here on, the intent says that what appears is ours. */
	r = tree_write(&job->host.sysfs, entry.uuid, PARENT "/mdev_supported_types/%s/create",
		       PCI_STR(entry.parent), entry.type);
	if (r < 0)
		end_refused(job, &entry, r);
	else
		verify(job, &entry);
}
