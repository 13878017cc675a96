/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "pci.h"
#include "scan.h"

#define CLASS_DISPLAY 0x03

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
	if (pci_read_group(scan->sysfs, PCI_STR(pci->address), &pci->iommu_group) < 0)
		pci->incomplete = 1;
}

/* Without a method there is no such file, or it is empty. */
static void read_resets(const struct scan *scan, struct op_pci *pci)
{
	int r = tree_read(scan->sysfs, pci->reset_methods, sizeof(pci->reset_methods),
			  PCI "/reset_method", PCI_STR(pci->address));

	if (r < 0)
		pci->reset_methods[0] = '\0';
	if (r < 0 && r != -ENOENT)
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
	read_resets(scan, pci);
	pci->has_vfio_dev = has(scan, pci, "vfio-dev");
	pci->is_barred = !policy_may_touch(scan->job->policy, pci->vendor, pci->class_code) ||
			 !policy_may_touch_address(scan->job->policy,
						   pci->is_virtual ? pci->physfn : pci->address);
	if (!pci->is_virtual)
		pci_names_find(scan->names, pci->vendor, pci->device, pci->name, sizeof(pci->name));
}

static bool matters(const struct scan *scan, const struct op_pci *pci)
{
	return pci->is_mdev_parent || pci->class_code == OPS_UNKNOWN_CLASS ||
	       pci->class_code >> 16 == CLASS_DISPLAY ||
	       policy_is_gpu(scan->job->policy, pci->class_code);
}

void scan_function(const struct scan *scan, struct pci_addr address)
{
	struct op_record record;
	struct op_pci *pci = &record.pci;
	int32_t class_code;

	job_record_init(&record, OP_RECORD_PCI);
	pci->address = address;
	class_code = read_number(scan, pci, "class", OPS_UNKNOWN);
	pci->class_code = class_code < 0 ? OPS_UNKNOWN_CLASS : (uint32_t)class_code;
	scan_types(scan, pci, false);
	if (!matters(scan, pci))
		return;

	/* The function before what is below it. */
	scan_mdevs(scan, pci, false);
	read_pci(scan, pci);
	scan_passthrough(scan, pci, false);
	job_send(scan->job, &record);
	scan_types(scan, pci, true);
	scan_mdevs(scan, pci, true);
	scan_vendor(scan, pci);
	scan_passthrough(scan, pci, true);
}
