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

static int check_policy(struct job *job)
{
	const struct tree *sysfs = &job->host.sysfs;
	struct pci_addr parent = job->request.parent;
	int64_t vendor, class_code;
	int r = tree_read_number(sysfs, &vendor, PARENT "/vendor", PCI_STR(parent));

	if (r == 0)
		r = tree_read_number(sysfs, &class_code, PARENT "/class", PCI_STR(parent));
	if (r < 0) {
		job_end(job, r == -ENOENT ? OP_NOT_FOUND : OP_KERNEL, r, "cannot read what %s is",
			PCI_STR(parent));
		return -1;
	}
	if (!policy_may_touch(job->policy, (uint16_t)vendor, (uint32_t)class_code)) {
		job_end(job, OP_REFUSED, 0,
			"%s has vendor %04x and class %06x, not a display controller of a vendor "
			"in device-vendor",
			PCI_STR(parent), (unsigned)vendor, (unsigned)class_code);
		return -1;
	}
	return 0;
}

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

static int begin(struct job *job, struct journal_entry *entry)
{
	struct err err;
	int r;

	*entry = (struct journal_entry){ .parent = job->request.parent };
	strcpy(entry->uuid, job->request.uuid);
	strcpy(entry->type, job->request.type);
	r = journal_begin(&job->journal, entry, &err);
	if (r == 0)
		return 0;
	if (r > 0)
		job_end(job, OP_EXISTS, 0, "mdev %s has been begun before", entry->uuid);
	else
		job_end(job, OP_FAILED, 0, "%s", err.message);
	return -1;
}

/* A record that cannot be written leaves the intent, which says as much: ours. */
static void record(struct job *job, const struct journal_entry *entry, enum journal_state state)
{
	struct err err;

	if (journal_append(&job->journal, entry, state, &err) < 0)
		log_error("%s", err.message);
}

/* The kernel said no. Its errno names no reason reliably, so the state is read again. */
static void end_refused(struct job *job, const struct journal_entry *entry, int error)
{
	struct op_mdev mdev;
	int there = mdev_find(&job->host.sysfs, entry->uuid, entry->parent, &mdev);

	/* EEXIST: somebody else made it between our look and our write. */
	if (error == -EEXIST) {
		record(job, entry, JOURNAL_FAILED);
		job_end(job, OP_EXISTS, error, "cannot create mdev %s", entry->uuid);
	} else if (there == 0) {
		record(job, entry, JOURNAL_FAILED);
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
		record(job, entry, JOURNAL_CREATED);
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
	struct journal_entry entry;
	int r;

	if (check_policy(job) < 0 || check_free(job) < 0 || begin(job, &entry) < 0)
		return;

	/* Killed from here on, the intent says that what appears is ours. */
	r = tree_write(&job->host.sysfs, entry.uuid, PARENT "/mdev_supported_types/%s/create",
		       PCI_STR(entry.parent), entry.type);
	if (r < 0)
		end_refused(job, &entry, r);
	else
		verify(job, &entry);
}
