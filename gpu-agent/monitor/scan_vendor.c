/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "scan.h"
#include "vendor.h"

static void send_type(const struct scan *scan, struct pci_addr address,
		      const struct vendor_line *line)
{
	struct op_record record;

	job_record_init(&record, OP_RECORD_VENDOR_TYPE);
	record.vendor_type.address = address;
	record.vendor_type.id = line->id;
	strcpy(record.vendor_type.name, line->name);
	job_send(scan->job, &record);
}

/* The list as text; false: unknown. One that fills the buffer may have been cut. */
static bool read_list(const struct scan *scan, struct pci_addr address,
		      char text[static TREE_TEXT_MAX])
{
	const char *rest = text;
	struct vendor_line line;
	int r = tree_read(scan->sysfs, text, TREE_TEXT_MAX, VENDOR_CREATABLE, PCI_STR(address));

	if (r < 0 || r == TREE_TEXT_MAX - 1 || strlen(text) != (size_t)r)
		return false;
	do {
		r = vendor_next_line(&rest, &line);
	} while (r > 0);
	return r == 0;
}

/*
 * A vGPU of ours that is not there any more was cleared by somebody else: the entry must not
 * claim what others set later. The journal was read before the type, so the type was ours then.
 */
static void forget(const struct scan *scan, const struct journal_entry *entry)
{
	struct err err;
	int r = journal_forget(&scan->job->journal, entry, &err);

	if (r < 0)
		log_error("%s", err.message);
	else if (r > 0) /* else we cleared it ourselves meanwhile */
		log_warning("vGPU type %" PRIu32 " of %s was cleared by somebody else",
			    entry->vendor_type, PCI_STR(entry->parent));
}

static void fill(const struct scan *scan, struct op_vendor_vf *vf)
{
	const struct journal_entry *ours =
		journal_entries_at(&scan->journal, JOURNAL_VENDOR, vf->address);
	uint32_t type;
	int r = vendor_read_type(scan->sysfs, vf->address, &type);

	vf->current_type = r < 0 ? OPS_UNKNOWN : (int32_t)type;
	if (!ours)
		return;
	vf->in_journal = r < 0 || type == ours->vendor_type;
	if (vf->in_journal)
		strcpy(vf->uuid, ours->uuid);
	else if (ours->state == JOURNAL_CREATED)
		forget(scan, ours);
}

void scan_vendor(const struct scan *scan, const struct op_pci *pci)
{
	char text[TREE_TEXT_MAX];
	const char *rest = text;
	struct op_record record;
	struct vendor_line line;

	if (!pci->has_vendor_vfio)
		return;
	job_record_init(&record, OP_RECORD_VENDOR_VF);
	record.vendor_vf.address = pci->address;
	record.vendor_vf.list_known = read_list(scan, pci->address, text);
	fill(scan, &record.vendor_vf);
	job_send(scan->job, &record);
	while (record.vendor_vf.list_known && vendor_next_line(&rest, &line) > 0)
		send_type(scan, pci->address, &line);
}
