/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_SCAN: the inventory of the host, as records.
 *
 * A file that is not there means "none" where the kernel leaves it out for that (numa_node,
 * sriov_totalvfs, name). A read that fails means "unknown", and is never told as a zero: a GPU
 * whose files cannot be read is neither empty nor free.
 */
#include "job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdev.h"
#include "mdev_text.h"
#include "pci_names.h"
#include "uuid_text.h"

#define PCI	      "bus/pci/devices/%s"
#define TYPES	      PCI "/mdev_supported_types"
#define CLASS_DISPLAY 0x03

struct scan {
	struct job *job;
	const struct tree *sysfs; /* the job's */
	struct journal_entries journal;
	struct pci_names *names;
};

/* ---- one PCI function ------------------------------------------------------------- */

/* missing: what it means that there is no such file. */
static int32_t read_number(const struct scan *scan, struct op_pci *pci, const char *file,
			   int32_t missing)
{
	int64_t value;
	int r = tree_read_number(scan->sysfs, &value, PCI "/%s", PCI_STR(pci->address), file);

	if (r == -ENOENT)
		return missing;
	if (r == 0 && value > INT32_MIN && value <= INT32_MAX)
		return (int32_t)value;
	pci->incomplete = 1;
	return OPS_UNKNOWN;
}

static uint16_t read_id(const struct scan *scan, struct op_pci *pci, const char *file)
{
	int32_t value = read_number(scan, pci, file, OPS_UNKNOWN);

	if (value >= 0 && value <= UINT16_MAX)
		return (uint16_t)value;
	pci->incomplete = 1;
	return 0;
}

static bool has(const struct scan *scan, struct op_pci *pci, const char *file)
{
	int r = tree_exists(scan->sysfs, PCI "/%s", PCI_STR(pci->address), file);

	if (r < 0)
		pci->incomplete = 1;
	return r > 0;
}

static void read_links(const struct scan *scan, struct op_pci *pci)
{
	char name[32];
	int r = tree_read_link_name(scan->sysfs, name, sizeof(name), PCI "/physfn",
				    PCI_STR(pci->address));

	pci->is_virtual = r >= 0 && pci_addr_parse(name, &pci->physfn) == 0;
	if (r != -ENOENT && !pci->is_virtual)
		pci->incomplete = 1;

	r = tree_read_link_name(scan->sysfs, pci->driver, sizeof(pci->driver), PCI "/driver",
				PCI_STR(pci->address));
	if (r < 0 && r != -ENOENT)
		pci->incomplete = 1;

	pci->iommu_group = OPS_NO_GROUP;
	r = tree_read_link_name(scan->sysfs, name, sizeof(name), PCI "/iommu_group",
				PCI_STR(pci->address));
	if (r >= 0)
		pci->iommu_group = (uint32_t)strtoul(name, NULL, 10);
	else if (r != -ENOENT)
		pci->incomplete = 1;
}

static void read_pci(const struct scan *scan, struct op_pci *pci)
{
	pci->vendor = read_id(scan, pci, "vendor");
	pci->device = read_id(scan, pci, "device");
	pci->subsystem_vendor = read_id(scan, pci, "subsystem_vendor");
	pci->subsystem_device = read_id(scan, pci, "subsystem_device");
	pci->numa_node = read_number(scan, pci, "numa_node", -1);
	pci->sriov_total = read_number(scan, pci, "sriov_totalvfs", 0);
	pci->sriov_enabled = read_number(scan, pci, "sriov_numvfs", 0);
	pci->is_boot_display = read_number(scan, pci, "boot_vga", 0) == 1;
	pci->has_vendor_vfio = has(scan, pci, "nvidia/creatable_vgpu_types");
	read_links(scan, pci);
	if (!pci->is_virtual)
		pci_names_find(scan->names, pci->vendor, pci->device, pci->name, sizeof(pci->name));
}

/* ---- what is below it ------------------------------------------------------------- */

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

	memset(&record, 0, sizeof(record)); /* no stray bytes cross */
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_MDEV_TYPE;
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

/* The types of a parent; also finds out whether it is one. */
static void scan_types(const struct scan *scan, struct op_pci *pci, bool send)
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
	mdev.in_journal = ours && pci_addr_compare(ours->parent, parent) == 0 &&
			  (mdev.type[0] == '\0' || strcmp(ours->type, mdev.type) == 0);
	job_send_mdev(scan->job, &mdev);
}

/* Below the parent, where also those appear that are being removed. */
static void scan_mdevs(const struct scan *scan, struct op_pci *pci, bool send)
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

/* ---- all of them ------------------------------------------------------------------ */

static bool matters(const struct op_pci *pci)
{
	return pci->is_mdev_parent || pci->class_code == OPS_UNKNOWN_CLASS ||
	       pci->class_code >> 16 == CLASS_DISPLAY;
}

static void scan_function(const struct scan *scan, struct pci_addr address)
{
	struct op_record record;
	struct op_pci *pci = &record.pci;
	int32_t class_code;

	memset(&record, 0, sizeof(record)); /* no stray bytes cross */
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_PCI;
	pci->address = address;
	class_code = read_number(scan, pci, "class", OPS_UNKNOWN);
	pci->class_code = class_code < 0 ? OPS_UNKNOWN_CLASS : (uint32_t)class_code;
	scan_types(scan, pci, false);
	if (!matters(pci))
		return;

	/* The function before what is below it. */
	scan_mdevs(scan, pci, false);
	read_pci(scan, pci);
	job_send(scan->job, &record);
	scan_types(scan, pci, true);
	scan_mdevs(scan, pci, true);
}

static void scan_all(const struct scan *scan)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;
	int r = tree_list(scan->sysfs, &dir, "bus/pci/devices");

	if (r < 0) {
		job_end(scan->job, OP_KERNEL, r, "cannot list the PCI devices");
		return;
	}
	errno = 0;
	while ((entry = readdir(dir))) {
		if (pci_addr_parse(entry->d_name, &address) == 0)
			scan_function(scan, address);
		errno = 0;
	}
	if (errno != 0)
		job_end(scan->job, OP_KERNEL, errno, "cannot list the PCI devices");
	else
		job_end(scan->job, OP_OK, 0, "%u records", scan->job->result.records);
}

void scan_run(struct job *job)
{
	struct scan scan = { .job = job, .sysfs = &job->host.sysfs };
	struct err err;

	if (journal_load(&job->journal, &scan.journal, &err) < 0) {
		job_end(job, OP_FAILED, 0, "%s", err.message);
		return;
	}
	scan.names = pci_names_new();
	scan_all(&scan);
	pci_names_free(scan.names);
	journal_entries_done(&scan.journal);
}
