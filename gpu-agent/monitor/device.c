/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "binding.h"
#include "mdev.h"
#include "pci.h"
#include "vendor.h"

static int find_mdev(const struct host *host, const struct journal_entry *entry, struct device *ret)
{
	struct op_mdev mdev;
	int r = mdev_find(&host->sysfs, entry->uuid, entry->parent, &mdev);

	if (r <= 0)
		return r;
	/* The same UUID on another parent or of another type: somebody else made that one. */
	if (pci_addr_compare(mdev.parent, entry->parent) != 0 ||
	    (!mdev.half_removed && strcmp(mdev.type, entry->type) != 0))
		return -EEXIST;
	snprintf(ret->text, sizeof(ret->text), "mdev %s", entry->uuid);
	snprintf(ret->path, sizeof(ret->path), "%s/%s", PCI_STR(entry->parent), entry->uuid);
	snprintf(ret->tag, sizeof(ret->tag), "%s", entry->uuid);
	ret->iommu_group = mdev.iommu_group;
	ret->half_removed = mdev.half_removed;
	return 1;
}

static int find_function(const struct host *host, const struct journal_entry *entry,
			 const char *what, struct device *ret)
{
	snprintf(ret->text, sizeof(ret->text), "%s %s", what, PCI_STR(entry->parent));
	snprintf(ret->path, sizeof(ret->path), "%s", PCI_STR(entry->parent));
	return pci_read_group(&host->sysfs, ret->path, &ret->iommu_group);
}

static int find_vendor(const struct host *host, const struct journal_entry *entry,
		       struct device *ret)
{
	uint32_t type;
	int r = vendor_read_type(&host->sysfs, entry->parent, &type);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (type == 0)
		return 0;
	if (type != entry->vendor_type)
		return -EEXIST;
	snprintf(ret->tag, sizeof(ret->tag), "/%s", PCI_STR(entry->parent));
	r = find_function(host, entry, "virtual function", ret);
	return r < 0 ? r : 1;
}

/* Its functions lie in one slot: "/0000:82:00." names them all. */
static int find_binding(const struct host *host, const struct journal_entry *entry,
			struct device *ret)
{
	int r = binding_state(host, entry);

	if (r <= 0)
		return r;
	r = snprintf(ret->tag, sizeof(ret->tag), "/%s", PCI_STR(entry->parent));
	ret->tag[r - 1] = '\0';
	r = find_function(host, entry, "GPU", ret);
	return r < 0 ? r : 1;
}

int device_of_entry(const struct host *host, const struct journal_entry *entry, struct device *ret)
{
	*ret = (struct device){ .iommu_group = OPS_NO_GROUP };
	if (entry->kind == JOURNAL_BINDING)
		return find_binding(host, entry, ret);
	if (entry->kind == JOURNAL_VENDOR)
		return find_vendor(host, entry, ret);
	return find_mdev(host, entry, ret);
}

/* What the request is about, when the journal does not know it: is it there? 1, 0, -errno. */
static int find_foreign(struct job *job, enum journal_kind kind)
{
	const struct op_request *request = &job->request;
	const struct tree *sysfs = &job->host.sysfs;
	char driver[OPS_DRIVER_MAX];
	struct op_mdev mdev;
	uint32_t type = 0;
	int r;

	switch (kind) {
	case JOURNAL_VENDOR:
		r = vendor_read_type(sysfs, request->parent, &type);
		return r < 0 ? r : type != 0;
	case JOURNAL_BINDING:
		r = pci_read_driver(sysfs, request->parent, driver);
		return r < 0 ? r : pci_is_vfio_driver(driver);
	default:
		return mdev_find(sysfs, request->uuid, request->parent, &mdev);
	}
}

static int end_foreign(struct job *job, enum journal_kind kind)
{
	const char *uuid = job->request.uuid;
	int there = find_foreign(job, kind);

	if (there == 0 || there == -ENOENT) {
		job_end(job, OP_NOT_FOUND, 0, "there is no device of %s", uuid);
		return 0;
	}
	job_end(job, OP_REFUSED, 0, "the device of %s was not made by this agent in this boot",
		uuid);
	job->result.reason = OP_REASON_JOURNAL;
	return -1;
}

static int end_other(struct job *job, const char *what)
{
	job_end(job, OP_REFUSED, 0, "the device of %s is not %s", job->request.uuid, what);
	job->result.reason = OP_REASON_JOURNAL;
	return -1;
}

int device_find_ours(struct job *job, enum journal_kind kind, struct journal_entry *ret_entry,
		     struct device *ret)
{
	const char *uuid = job->request.uuid;
	struct err err;
	int r;

	memset(ret_entry, 0, sizeof(*ret_entry));
	r = journal_find(&job->journal, uuid, ret_entry, &err);
	if (r < 0) {
		job_end(job, OP_FAILED, 0, "%s", err.message);
		return -1;
	}
	if (r == 0)
		return end_foreign(job, kind);
	if (kind != 0 && (ret_entry->kind != kind ||
			  pci_addr_compare(ret_entry->parent, job->request.parent) != 0))
		return end_other(job, "of that kind, or not there");
	r = device_of_entry(&job->host, ret_entry, ret);
	if (r == -EEXIST)
		return end_other(job, "the one that this agent made");
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot read the device of %s", uuid);
		return -1;
	}
	if (r == 0)
		job_end(job, OP_NOT_FOUND, 0, "the device of %s is gone", uuid);
	return r;
}
