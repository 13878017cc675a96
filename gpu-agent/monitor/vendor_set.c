/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_SET_VENDOR_TYPE and OP_CLEAR_VENDOR_TYPE.
 *
 * Such a vGPU has no name: root's journal knows it by boot, virtual function and type, under the
 * allocation's id. A type that somebody else set in place of ours, after clearing ours and
 * before anybody looked, would be taken for it if it were the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "claim.h"
#include "common/log.h"
#include "vendor.h"

/* ---- set ----------------------------------------------------------------------------- */

/* The driver refuses a second type by itself; asking first tells why without an intent. */
static int check_free(struct job *job)
{
	struct pci_addr vf = job->request.parent;
	uint32_t type;
	int r = vendor_read_type(&job->host.sysfs, vf, &type);

	if (r == 0 && type == 0)
		return 0;
	if (r == 0)
		job_end(job, OP_EXISTS, 0, "%s has vGPU type %" PRIu32 " already", PCI_STR(vf),
			type);
	else if (r == -ENOENT)
		job_end(job, OP_NOT_FOUND, 0, "%s takes no vGPU type", PCI_STR(vf));
	else
		job_end(job, OP_KERNEL, r, "cannot tell whether %s has a vGPU", PCI_STR(vf));
	return -1;
}

static void send_set(struct job *job, const struct journal_entry *entry)
{
	struct op_record record;

	job_record_init(&record, OP_RECORD_VENDOR_VF);
	record.vendor_vf.address = entry->parent;
	record.vendor_vf.current_type = (int32_t)entry->vendor_type;
	record.vendor_vf.in_journal = 1;
	strcpy(record.vendor_vf.uuid, entry->uuid);
	job_send(job, &record);
}

/* error: what the write said. The errno names no reason reliably, so the state is read. */
static void end_set(struct job *job, const struct journal_entry *entry, int error)
{
	uint32_t now = 0;
	int r = vendor_read_type(&job->host.sysfs, entry->parent, &now);
	bool is_set = r == 0 && now == entry->vendor_type;

	if (is_set && error == 0) {
		job_note(job, entry, JOURNAL_CREATED);
		log_info("set vGPU type %" PRIu32 " on %s", now, PCI_STR(entry->parent));
		send_set(job, entry);
		job_end(job, OP_OK, 0, "set vGPU type %" PRIu32 " on %s", now,
			PCI_STR(entry->parent));
	} else if (r == 0 && error < 0 && (now == 0 || error == -EPERM)) {
		/* EPERM: somebody else's type was there first, whichever it is. */
		job_note(job, entry, JOURNAL_FAILED);
		job_end(job, now ? OP_EXISTS : OP_KERNEL, error,
			"cannot set vGPU type %" PRIu32 " on %s", entry->vendor_type,
			PCI_STR(entry->parent));
	} else {
		if (r == 0 && !is_set)
			job_note(job, entry, JOURNAL_FAILED);
		job_end(job, OP_UNVERIFIED, r < 0 ? r : error,
			"vGPU type %" PRIu32 " was set on %s, where type %" PRIu32 " can be seen",
			entry->vendor_type, PCI_STR(entry->parent), now);
	}
}

static int write_type(struct job *job, struct pci_addr vf, uint32_t type)
{
	char text[16];

	snprintf(text, sizeof(text), "%" PRIu32, type);
	return tree_write(&job->host.sysfs, text, VENDOR_CURRENT, PCI_STR(vf));
}

void vendor_set_run(struct job *job)
{
	struct journal_entry entry = {
		.kind = JOURNAL_VENDOR,
		.vendor_type = job->request.vendor_type,
		.parent = job->request.parent,
	};

	strcpy(entry.uuid, job->request.uuid);
	if (job_may_touch(job, entry.parent) < 0 || check_free(job) < 0 ||
	    job_begin(job, &entry) < 0)
		return;

	/* Killed from here on, the intent says that what appears is ours. */
	end_set(job, &entry, write_type(job, entry.parent, entry.vendor_type));
}

/* ---- clear --------------------------------------------------------------------------- */

static void end_clear(struct job *job, const struct journal_entry *entry,
		      const struct device *device, int error)
{
	uint32_t now = 0;
	int r = vendor_read_type(&job->host.sysfs, entry->parent, &now);

	if (r == 0 && now != entry->vendor_type) {
		job_note(job, entry, JOURNAL_REMOVED);
		log_info("cleared vGPU type %" PRIu32 " of %s", entry->vendor_type,
			 PCI_STR(entry->parent));
		job_end(job, OP_OK, 0, "cleared the vGPU type of %s", PCI_STR(entry->parent));
	} else if (r == 0 && (error == -EPERM || error == -EBUSY)) {
		/* Opened meanwhile, or its manager process is not done: it is asked again. */
		(void)claim_end_in_use(job, device, strerror(-error));
	} else if (r == 0 && error < 0) {
		job_end(job, OP_KERNEL, error, "cannot clear the vGPU type of %s",
			PCI_STR(entry->parent));
	} else {
		job_end(job, OP_UNVERIFIED, r, "the vGPU type of %s was cleared, but is there",
			PCI_STR(entry->parent));
	}
}

/*
 * The driver refuses with EPERM while anybody has the node open, ourselves included. So the claim
 * shows that nobody has, and is let go before the write: by then the node is root's, and only
 * root could open it in between. Then the driver refuses, and nothing is lost.
 */
void vendor_clear_run(struct job *job)
{
	struct journal_entry entry;
	struct device device;
	int held;
	int r = device_find_ours(job, JOURNAL_VENDOR, &entry, &device);

	if (r == 0 && entry.state == JOURNAL_CREATED)
		job_note(job, &entry, JOURNAL_REMOVED); /* gone without our doing */
	if (r <= 0 || claim_take(job, &device, &held) < 0)
		return;
	if (held >= 0)
		close(held);
	end_clear(job, &entry, &device, write_type(job, entry.parent, 0));
}
