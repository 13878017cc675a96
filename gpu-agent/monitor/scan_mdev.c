/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
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

/*
 * Name and description are the same for a type on each function of a GPU, and 32 functions with
 * 23 types are many files: they are read once. Only what was read well is kept.
 */
struct scan_type {
	struct pci_addr gpu;
	struct op_mdev_type type;
};

static int compare_types(const void *a, const void *b)
{
	const struct scan_type *x = a, *y = b;
	int order = pci_addr_compare(x->gpu, y->gpu);

	return order ? order : strcmp(x->type.type, y->type.type);
}

static const struct op_mdev_type *find_known(const struct scan_types_known *known,
					     struct pci_addr gpu, const char *name)
{
	struct scan_type key = { .gpu = gpu };
	struct scan_type **found;

	strcpy(key.type.type, name);
	found = tfind(&key, &known->root, compare_types);
	return found ? &(*found)->type : NULL;
}

/* Without memory it is read again. */
static void keep(struct scan_types_known *known, struct pci_addr gpu,
		 const struct op_mdev_type *type)
{
	scoped_free struct scan_type *kept = malloc(sizeof(*kept));

	if (!kept)
		return;
	*kept = (struct scan_type){ gpu, *type };
	if (tsearch(kept, &known->root, compare_types))
		(void)TAKE_PTR(kept); /* the tree's now */
}

void scan_types_known_done(struct scan_types_known *known)
{
	tdestroy(known->root, free);
	known->root = NULL;
}

/* Whether all there is was read. */
static bool read_type(const struct scan *scan, struct pci_addr parent, const char *name,
		      struct op_mdev_type *type)
{
	char text[TREE_TEXT_MAX];
	int has_name =
		tree_read(scan->sysfs, text, sizeof(text), TYPES "/%s/name", PCI_STR(parent), name);
	int has_text;

	if (has_name > 0)
		snprintf(type->name, sizeof(type->name), "%s", text);
	has_text = tree_read(scan->sysfs, text, sizeof(text), TYPES "/%s/description",
			     PCI_STR(parent), name);
	if (has_text < 0)
		text[0] = '\0';
	type->framebuffer_mb = mdev_text_framebuffer(text);
	type->max_instance = mdev_text_max_instance(text);
	return has_name > 0 && has_text > 0;
}

static void send_type(const struct scan *scan, const struct op_pci *pci, const char *name)
{
	struct pci_addr gpu = pci->is_virtual ? pci->physfn : pci->address;
	const struct op_mdev_type *known = find_known(scan->known, gpu, name);
	struct op_record record;
	struct op_mdev_type *type = &record.mdev_type;

	job_record_init(&record, OP_RECORD_MDEV_TYPE);
	if (known)
		memcpy(type, known, sizeof(*type));
	strcpy(type->type, name);
	type->parent = pci->address;
	if (!known && read_type(scan, pci->address, name, type))
		keep(scan->known, gpu, type);
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
			send_type(scan, pci, entry->d_name);
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
