/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "journal_line.h"
#include "pci.h"
#include "request.h"
#include "uuid_text.h"

#define CLASS_PCI_BRIDGE   0x0604
#define CLASS_OTHER_BRIDGE 0x0680 /* NVSwitches are such */
#define VENDOR_NVIDIA	   0x10de

/* The first refusal stays. */
static void __attribute__((format(printf, 3, 4)))
refuse(struct plan *plan, enum op_reason reason, const char *format, ...)
{
	va_list args;

	if (plan->refusal != OP_REASON_NONE)
		return;
	plan->refusal = reason;
	va_start(args, format);
	vsnprintf(plan->message, sizeof(plan->message), format, args);
	va_end(args);
}

static void refuse_unknown(struct plan *plan, const char *what, int error)
{
	refuse(plan, OP_REASON_UNKNOWN, "cannot read %s of %s: %s", what, PCI_STR(plan->gpu),
	       strerror(-error));
}

/* ---- the group --------------------------------------------------------------------- */

static bool is_same_slot(struct pci_addr a, struct pci_addr b)
{
	return a.domain == b.domain && a.bus == b.bus && a.slot == b.slot;
}

/* One that VFIO has is somebody else's, who needs the group as much as we do. */
static bool is_idle(const char *driver)
{
	return driver[0] == '\0' || strcmp(driver, "pci-stub") == 0;
}

static enum op_member_role role_of(const struct policy *policy,
				   const struct op_group_member *member)
{
	if (member->class_code >> 8 == CLASS_PCI_BRIDGE)
		return OP_MEMBER_HARMLESS;
	if (is_same_slot(member->address, member->gpu))
		return OP_MEMBER_MOVES;
	if (policy_is_gpu(policy, member->class_code))
		return OP_MEMBER_IN_THE_WAY;
	return is_idle(member->driver) ? OP_MEMBER_HARMLESS : OP_MEMBER_IN_THE_WAY;
}

static void add_member(const struct host *host, const struct policy *policy,
		       struct pci_addr address, struct plan *plan)
{
	struct op_group_member *member = &plan->members[plan->member_count];
	struct pci_identity identity = { .class_code = OPS_UNKNOWN_CLASS };
	int r;

	if (plan->member_count == PLAN_MEMBERS_MAX) {
		refuse(plan, OP_REASON_GROUP, "IOMMU group %" PRIu32 " has more than %d devices",
		       plan->iommu_group, PLAN_MEMBERS_MAX);
		return;
	}
	plan->member_count++;
	memset(member, 0, sizeof(*member)); /* it crosses to another process: no stray bytes */
	member->gpu = plan->gpu;
	member->address = address;
	member->iommu_group = plan->iommu_group;
	r = pci_read_identity(&host->sysfs, address, &identity);
	if (r == 0)
		r = pci_read_driver(&host->sysfs, address, member->driver);
	member->vendor = identity.vendor;
	member->device = identity.device;
	member->class_code = identity.class_code;
	member->role = role_of(policy, member);
	if (r < 0)
		refuse_unknown(plan, "a device in the IOMMU group", r);
	else if (member->role == OP_MEMBER_IN_THE_WAY)
		refuse(plan, OP_REASON_GROUP,
		       "IOMMU group %" PRIu32 " of %s also holds %s (class %06x, driver %s), "
		       "which would come along",
		       plan->iommu_group, PCI_STR(plan->gpu), PCI_STR(address), member->class_code,
		       member->driver[0] ? member->driver : "none");
}

static void read_group(const struct host *host, const struct policy *policy, struct plan *plan)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;
	bool seen = false;
	int r = pci_read_group(&host->sysfs, PCI_STR(plan->gpu), &plan->iommu_group);

	if (r < 0) {
		refuse_unknown(plan, "the IOMMU group", r);
		return;
	}
	if (plan->iommu_group == OPS_NO_GROUP) {
		refuse(plan, OP_REASON_NO_GROUP, "%s has no IOMMU group: the IOMMU is off",
		       PCI_STR(plan->gpu));
		return;
	}
	r = tree_list(&host->sysfs, &dir, "kernel/iommu_groups/%" PRIu32 "/devices",
		      plan->iommu_group);
	while (r >= 0 && (entry = readdir(dir))) {
		if (pci_addr_parse(entry->d_name, &address) < 0)
			continue;
		add_member(host, policy, address, plan);
		seen |= pci_addr_compare(address, plan->gpu) == 0;
	}
	if (r < 0 || !seen)
		refuse_unknown(plan, "the IOMMU group's devices", r < 0 ? r : -ENOENT);
}

/* ---- the GPU ----------------------------------------------------------------------- */

static int64_t read_number(const struct host *host, struct plan *plan, const char *file)
{
	int64_t value = 0;
	int r = tree_read_number(&host->sysfs, &value, PCI "/%s", PCI_STR(plan->gpu), file);

	if (r < 0 && r != -ENOENT)
		refuse_unknown(plan, file, r);
	return value;
}

static void check_policy(const struct host *host, const struct policy *policy, struct plan *plan)
{
	struct pci_addr physical;
	struct pci_identity identity;
	int r = pci_read_identity(&host->sysfs, plan->gpu, &identity);

	if (r == 0)
		r = pci_read_physical(&host->sysfs, plan->gpu, &physical);
	if (r < 0) {
		refuse_unknown(plan, "what it is", r);
		return;
	}
	if (pci_addr_compare(physical, plan->gpu) != 0)
		refuse(plan, OP_REASON_POLICY, "%s is a virtual function of %s", PCI_STR(plan->gpu),
		       PCI_STR(physical));
	if (!policy_may_touch(policy, identity.vendor, identity.class_code))
		refuse(plan, OP_REASON_POLICY,
		       "%s has vendor %04x and class %06x, not a GPU of a vendor in device-vendor",
		       PCI_STR(plan->gpu), identity.vendor, identity.class_code);
	if (!policy_may_touch_address(policy, plan->gpu))
		refuse(plan, OP_REASON_POLICY, "%s may not be touched: device-address says so",
		       PCI_STR(plan->gpu));
	if (read_number(host, plan, "boot_vga") == 1 && !policy->allow_boot_display)
		refuse(plan, OP_REASON_BOOT_DISPLAY,
		       "%s is the display that the firmware uses, and allow-boot-display is not "
		       "set",
		       PCI_STR(plan->gpu));
}

/* Unbinding the host driver would take the virtual functions and vGPUs with it. */
static void check_vgpus(const struct host *host, struct plan *plan)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	int64_t vfs = read_number(host, plan, "sriov_numvfs");
	int r;

	if (vfs > 0)
		refuse(plan, OP_REASON_VFS, "%s has %" PRId64 " virtual functions enabled",
		       PCI_STR(plan->gpu), vfs);
	r = tree_list(&host->sysfs, &dir, PCI, PCI_STR(plan->gpu));
	if (r < 0)
		refuse_unknown(plan, "the vGPUs", r);
	while (r >= 0 && (entry = readdir(dir)))
		if (uuid_text_is_valid(entry->d_name))
			refuse(plan, OP_REASON_VFS, "%s has vGPU %s", PCI_STR(plan->gpu),
			       entry->d_name);
}

static void check_drivers(const struct policy *policy, bool ours, struct plan *plan)
{
	for (size_t i = 0; i < plan->member_count; i++) {
		const struct op_group_member *member = &plan->members[i];

		if (member->role != OP_MEMBER_MOVES)
			continue;
		if (!journal_line_takes(member->driver))
			refuse(plan, OP_REASON_GROUP,
			       "%s has driver '%s', a name that cannot be kept",
			       PCI_STR(member->address), member->driver);
		if (!ours && !policy->allow_bound && pci_is_vfio_driver(member->driver))
			refuse(plan, OP_REASON_FOREIGN,
			       "%s was bound to %s by somebody else, and allow-bound is not set",
			       PCI_STR(member->address), member->driver);
	}
}

void plan_make(const struct host *host, const struct policy *policy, struct pci_addr gpu, bool ours,
	       bool nvswitch, struct plan *ret)
{
	*ret = (struct plan){ .gpu = gpu, .iommu_group = OPS_NO_GROUP };
	check_policy(host, policy, ret);
	if (nvswitch)
		refuse(ret, OP_REASON_NVSWITCH,
		       "%s is on a host with NVSwitches, whose Fabric Manager partitions are not "
		       "managed here",
		       PCI_STR(gpu));
	if (!ours)
		check_vgpus(host, ret);
	read_group(host, policy, ret);
	check_drivers(policy, ours, ret);
}

static bool is_nvswitch(const struct host *host, const struct op_request *request,
			struct pci_addr address)
{
	struct pci_identity identity;
	struct pci_addr physical;

	return pci_read_physical(&host->sysfs, address, &physical) == 0 &&
	       (!request || request_is_in_scope(request, physical)) &&
	       pci_read_identity(&host->sysfs, address, &identity) == 0 &&
	       identity.vendor == VENDOR_NVIDIA && identity.class_code >> 8 == CLASS_OTHER_BRIDGE;
}

/* Its driver, loaded, tells without a look at devices. */
static bool driver_has_nvswitch(const struct host *host)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;

	if (tree_list(&host->sysfs, &dir, "bus/pci/drivers/nvidia-nvswitch") < 0)
		return false;
	while ((entry = readdir(dir)))
		if (pci_addr_parse(entry->d_name, &address) == 0)
			return true;
	return false;
}

int plan_has_nvswitch(const struct host *host, const struct op_request *request)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;
	int r = tree_list(&host->sysfs, &dir, "bus/pci/devices");

	if (r < 0)
		return r;
	if (driver_has_nvswitch(host))
		return 1;
	while ((entry = readdir(dir)))
		if (pci_addr_parse(entry->d_name, &address) == 0 &&
		    is_nvswitch(host, request, address))
			return 1;
	return 0;
}
