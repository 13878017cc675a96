/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mdev.h"
#include "mdev_text.h"
#include "pci.h"
#include "scan.h"
#include "uuid_text.h"

#define TYPES PCI "/mdev_supported_types"

static int32_t read_available(const struct scan *scan, const struct op_mdev_type *type)
{
	int64_t value;
	int r = tree_read_number(scan->sysfs, &value, TYPES "/%s/available_instances",
				 PCI_STR(type->parent), type->type);

	return r == 0 && value >= 0 && value <= INT32_MAX ? (int32_t)value : OPS_UNKNOWN;
}

static void send_type(const struct scan *scan, struct pci_addr parent, const char *name)
{
	char text[TREE_TEXT_MAX];
	struct op_record record;
	struct op_mdev_type *type = &record.mdev_type;

	job_record_init(&record, OP_RECORD_MDEV_TYPE);
	type->parent = parent;
	strcpy(type->type, name);
	if (tree_read(scan->sysfs, text, sizeof(text), TYPES "/%s/name", PCI_STR(parent), name) > 0)
		snprintf(type->name, sizeof(type->name), "%s", text);
	if (tree_read(scan->sysfs, text, sizeof(text), TYPES "/%s/description", PCI_STR(parent),
		      name) < 0)
		text[0] = '\0';
	type->framebuffer_mb = mdev_text_framebuffer(text);
	type->max_instance = mdev_text_max_instance(text);
	type->available = read_available(scan, type);
	job_send(scan->job, &record);
}

/* Also finds out whether it is a parent. */
void scan_types(const struct scan *scan, struct op_pci *pci, bool send)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r = tree_list(scan->sysfs, &dir, TYPES, PCI_STR(pci->address));

	if (r < 0) {
		pci->incomplete |= r != -ENOENT;
		pci->is_mdev_parent |= r != -ENOENT; /* there is something, whatever it is */
		return;
	}
	pci->is_mdev_parent = 1;
	while (send && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < OPS_TYPE_MAX)
			send_type(scan, pci->address, entry->d_name);
}

/* One that exists but cannot be read is told without type and group: it takes its slot. */
static void send_mdev(const struct scan *scan, struct pci_addr parent, const char *uuid)
{
	const struct journal_entry *ours = journal_entries_find(&scan->journal, uuid);
	struct op_mdev mdev;
	int r = mdev_read(scan->sysfs, parent, uuid, &mdev);

	if (r == 0)
		return; /* removed meanwhile */
	if (r < 0) {
		memset(&mdev, 0, sizeof(mdev));
		strcpy(mdev.uuid, uuid);
		mdev.parent = parent;
		mdev.iommu_group = OPS_NO_GROUP;
	}
	mdev.in_journal = ours && ours->kind == JOURNAL_MDEV &&
			  pci_addr_compare(ours->parent, parent) == 0 &&
			  (mdev.type[0] == '\0' || strcmp(ours->type, mdev.type) == 0);
	job_send_mdev(scan->job, &mdev);
}

/* Below the parent, where also those appear that are being removed. */
void scan_mdevs(const struct scan *scan, struct op_pci *pci, bool send)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r = tree_list(scan->sysfs, &dir, PCI, PCI_STR(pci->address));

	if (r < 0)
		pci->incomplete = 1;
	while (send && dir && (entry = readdir(dir)))
		if (uuid_text_is_valid(entry->d_name))
			send_mdev(scan, pci->address, entry->d_name);
}
