/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "check_types.h"
#include "gpu_holders.h"
#include "pci.h"
#include "plan.h"

#define NO_FIX ""

/* What the host has of each, to be summed up at the end. */
struct sums {
	unsigned gpus;
	unsigned passthrough;
	struct check_types types;
	bool nvswitch;
	struct pci_addr addresses[OPS_GPUS_MAX];
};

/* ---- the host -------------------------------------------------------------------------- */

static unsigned count_entries(const struct tree *sysfs, const char *path)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	unsigned count = 0;

	if (tree_list(sysfs, &dir, "%s", path) < 0)
		return 0;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

/*
 * Through which domain the host's own devices reach memory: with iommu=pt all of it, which
 * costs nothing. Kernels before 5.11 do not say.
 */
static void check_translation(const struct check *check)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	unsigned direct = 0, translated = 0;
	char type[32];

	if (tree_list(&check->host->sysfs, &dir, "kernel/iommu_groups") < 0)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    tree_read(&check->host->sysfs, type, sizeof(type),
			      "kernel/iommu_groups/%s/type", entry->d_name) < 0)
			continue;
		direct += strcmp(type, "identity") == 0;
		translated += strncmp(type, "DMA", 3) == 0;
	}
	if (direct > 0)
		check_add(check, OP_LEVEL_PASS, "iommu-mode", "", NO_FIX,
			  "the host's own devices pass the IOMMU untranslated");
	else if (translated > 0)
		check_add(check, OP_LEVEL_WARN, "iommu-mode", "", "boot with \"iommu=pt\"",
			  "the host's own devices are translated by the IOMMU, which is slower");
}

static void check_iommu(const struct check *check)
{
	unsigned groups = count_entries(&check->host->sysfs, "kernel/iommu_groups");

	if (groups > 0)
		check_add(check, OP_LEVEL_PASS, "iommu", "", NO_FIX, "%u IOMMU groups", groups);
	else
		check_add(check, OP_LEVEL_FAIL, "iommu", "",
			  "enable VT-d or AMD-Vi in the firmware and boot with \"intel_iommu=on "
			  "iommu=pt\" (Intel) or \"amd_iommu=on iommu=pt\" (AMD)",
			  "there are no IOMMU groups: no device can be given to a guest");
}

static void check_vfio(const struct check *check)
{
	const struct host *host = check->host;
	bool has_driver = tree_exists(&host->sysfs, "bus/pci/drivers/" PCI_VFIO) == 1;
	bool has_node = tree_exists(&host->dev, "vfio/vfio") == 1;

	check_add(check, has_driver ? OP_LEVEL_PASS : OP_LEVEL_WARN, "vfio-pci", "",
		  has_driver ? NO_FIX
			     : "modprobe vfio-pci, and name it in /etc/modules-load.d/vfio.conf",
		  has_driver
			  ? "driver vfio-pci is loaded"
			  : "driver vfio-pci is not loaded: whole GPUs cannot be passed through");
	check_add(check, has_node ? OP_LEVEL_PASS : OP_LEVEL_FAIL, "vfio", "",
		  has_node ? NO_FIX : "modprobe vfio_iommu_type1; modprobe vfio",
		  has_node ? "/dev/vfio/vfio is there" : "there is no /dev/vfio/vfio");
}

/* ---- one GPU ----------------------------------------------------------------------------- */

static void check_driver(const struct check *check, struct pci_addr gpu, const char *driver)
{
	char version[32];

	if (driver[0] == '\0')
		check_add(check, OP_LEVEL_WARN, "driver", PCI_STR(gpu),
			  "install the vendor's host driver for vGPUs; passthrough works without",
			  "no driver has it");
	else if (strcmp(driver, "nouveau") == 0)
		check_add(check, OP_LEVEL_WARN, "driver", PCI_STR(gpu),
			  "write \"blacklist nouveau\" to /etc/modprobe.d/ and install NVIDIA's "
			  "driver",
			  "driver nouveau has it, which makes no vGPUs");
	else if (pci_is_vfio_driver(driver))
		check_add(check, OP_LEVEL_PASS, "driver", PCI_STR(gpu), NO_FIX,
			  "bound to %s for passthrough", driver);
	else if (tree_read(&check->host->sysfs, version, sizeof(version), "module/%s/version",
			   driver) > 0)
		check_add(check, OP_LEVEL_PASS, "driver", PCI_STR(gpu), NO_FIX,
			  "driver %s %s has it: drivers in guests with vGPUs must fit its release",
			  driver, version);
	else
		check_add(check, OP_LEVEL_PASS, "driver", PCI_STR(gpu), NO_FIX, "driver %s has it",
			  driver);
}

/* Whether they are meant to be enabled is not known: without them a GPU is for passthrough. */
static void check_vfs(const struct check *check, struct pci_addr gpu, const char *driver,
		      bool has_passthrough)
{
	int64_t total = 0, enabled = 0;
	char fix[OPS_FINDING_MAX];

	/* Absent without SR-IOV; then there is nothing to say. */
	if (tree_read_number(&check->host->sysfs, &total, PCI "/sriov_totalvfs", PCI_STR(gpu)) <
		    0 ||
	    total == 0 || driver[0] == '\0' || pci_is_vfio_driver(driver))
		return;
	(void)tree_read_number(&check->host->sysfs, &enabled, PCI "/sriov_numvfs", PCI_STR(gpu));
	snprintf(fix, sizeof(fix),
		 "for vGPUs, /usr/lib/nvidia/sriov-manage -e %s at each boot, before the agent "
		 "starts",
		 PCI_STR(gpu));
	if (enabled > 0)
		check_add(check, OP_LEVEL_PASS, "virtual-functions", PCI_STR(gpu), NO_FIX,
			  "%" PRId64 " of %" PRId64 " virtual functions are enabled", enabled,
			  total);
	else
		check_add(check, has_passthrough ? OP_LEVEL_PASS : OP_LEVEL_WARN,
			  "virtual-functions", PCI_STR(gpu), fix,
			  "none of %" PRId64 " virtual functions is enabled: it makes no vGPUs",
			  total);
}

/* Whether it can be passed through. */
static bool check_plan(const struct check *check, struct pci_addr gpu, const struct sums *sums)
{
	static const char *const fixes[] = {
		[OP_REASON_BOOT_DISPLAY] = "let the firmware use another display, or set "
					   "allow-boot-display",
		[OP_REASON_NO_GROUP] = "turn the IOMMU on (see iommu)",
		[OP_REASON_GROUP] = "enable ACS in the firmware or use another slot; "
				    "pcie_acs_override only hides the problem",
		[OP_REASON_NVSWITCH] = "partition the GPUs with NVIDIA Fabric Manager by hand",
		[OP_REASON_FOREIGN] = "set allow-bound if it is meant for guests of this agent",
		[OP_REASON_UNKNOWN] = "see \"dmesg\" for the device",
	};
	struct plan *plan = calloc(1, sizeof(*plan));
	enum op_reason refusal;

	if (!plan)
		return false;
	plan_make(check->host, check->policy, gpu, false, sums->nvswitch, plan);
	refusal = plan->refusal;
	if (refusal == OP_REASON_NONE) {
		check_add(check, OP_LEVEL_PASS, "passthrough", PCI_STR(gpu), NO_FIX,
			  "can be passed through whole: its IOMMU group %" PRIu32 " is its own",
			  plan->iommu_group);
	} else if (refusal == OP_REASON_VFS || refusal == OP_REASON_POLICY) {
		check_add(check, OP_LEVEL_PASS, "passthrough", PCI_STR(gpu), NO_FIX,
			  "not for passthrough: %s", plan->message);
	} else {
		check_add(check, OP_LEVEL_WARN, "passthrough", PCI_STR(gpu), fixes[refusal],
			  "cannot be passed through: %s", plan->message);
	}
	free(plan);
	return refusal == OP_REASON_NONE;
}

static void check_gpu(const struct check *check, struct pci_addr gpu, struct sums *sums)
{
	char driver[OPS_DRIVER_MAX];
	bool has_passthrough;

	if (sums->gpus < OPS_GPUS_MAX)
		sums->addresses[sums->gpus] = gpu;
	sums->gpus++;
	if (pci_read_driver(&check->host->sysfs, gpu, driver) < 0) {
		check_add(check, OP_LEVEL_FAIL, "driver", PCI_STR(gpu), "see \"dmesg\"",
			  "its driver cannot be read");
		return;
	}
	check_driver(check, gpu, driver);
	has_passthrough = check_plan(check, gpu, sums);
	sums->passthrough += has_passthrough;
	check_vfs(check, gpu, driver, has_passthrough);
}

/* ---- functions that make vGPUs ------------------------------------------------------------ */

static void check_vf(const struct check *check, struct pci_addr vf)
{
	char driver[OPS_DRIVER_MAX];

	if (pci_read_driver(&check->host->sysfs, vf, driver) == 0 && strcmp(driver, PCI_VFIO) == 0)
		check_add(
			check, OP_LEVEL_FAIL, "virtual-function", PCI_STR(vf),
			"keep vfio-pci's ids= and libvirt's managed devices off virtual functions, "
			"and give it back to the vendor's driver",
			"vfio-pci has taken it: no vGPU can be made there");
}

/* ---- users -------------------------------------------------------------------------------- */

static const char *fix_for(const char *command)
{
	if (strncmp(command, "nvidia-persiste", 15) == 0)
		return "systemctl disable --now nvidia-persistenced";
	if (strncmp(command, "nv-hostengine", 13) == 0 || strncmp(command, "dcgm", 4) == 0)
		return "systemctl stop nvidia-dcgm (or the DCGM exporter) before passthrough";
	return "end it before the GPU is passed through";
}

static void add_holder(void *context, const struct op_holder *holder)
{
	const struct check *check = context;

	check_add(check, OP_LEVEL_WARN, "holder", PCI_STR(holder->gpu), fix_for(holder->command),
		  "%s (pid %d) %s: it cannot be passed through meanwhile", holder->command,
		  holder->pid, holder->certain ? "uses it" : "may use it");
}

static void check_holders(const struct check *check, const struct sums *sums)
{
	size_t count = sums->gpus < OPS_GPUS_MAX ? sums->gpus : OPS_GPUS_MAX;
	struct check copy = *check;
	int r = gpu_holders_find(check->host, sums->addresses, count, add_holder, &copy);

	if (r < 0)
		check_add(check, OP_LEVEL_WARN, "holder", "", "run this as root",
			  "cannot tell which processes use the GPUs: %s", strerror(-r));
}

/* ---- all of them -------------------------------------------------------------------------- */

static void check_function(const struct check *check, struct pci_addr address, struct sums *sums)
{
	struct pci_identity identity;
	struct pci_addr physical;

	int r = pci_read_identity(&check->host->sysfs, address, &identity);

	if (r == 0)
		r = pci_read_physical(&check->host->sysfs, address, &physical);
	if (r < 0)
		check_add(check, OP_LEVEL_WARN, "device", PCI_STR(address), "see \"dmesg\"",
			  "cannot be read: %s", strerror(-r));
	if (r < 0 || !policy_may_touch(check->policy, identity.vendor, identity.class_code))
		return;
	if (pci_addr_compare(address, physical) == 0)
		check_gpu(check, address, sums);
	else
		check_vf(check, address);
	check_types_look(check, physical, address, &sums->types);
}

static void check_sums(const struct check *check, const struct sums *sums)
{
	unsigned vgpu_slots = check_types_report(check, &sums->types);

	if (sums->gpus == 0)
		check_add(check, OP_LEVEL_FAIL, "gpu", "",
			  "look with \"lspci -nn -d ::0300\" and \"lspci -nn -d ::0302\"; other "
			  "vendors than NVIDIA are named by device-vendor",
			  "there is no GPU of a vendor in device-vendor");
	else if (vgpu_slots == 0 && sums->passthrough == 0)
		check_add(check, OP_LEVEL_FAIL, "gpu", "", "see the lines above",
			  "of %u GPUs none makes vGPUs and none can be passed through", sums->gpus);
	else
		check_add(check, OP_LEVEL_PASS, "gpu", "", NO_FIX,
			  "%u GPUs: %u functions for vGPUs, %u GPUs for passthrough", sums->gpus,
			  vgpu_slots, sums->passthrough);
}

void check_gpus(const struct check *check)
{
	struct sums sums = { .nvswitch = plan_has_nvswitch(check->host, NULL) == 1 };
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr address;

	check_iommu(check);
	check_translation(check);
	check_vfio(check);
	if (tree_list(&check->host->sysfs, &dir, "bus/pci/devices") < 0)
		check_add(check, OP_LEVEL_FAIL, "pci", "", NO_FIX, "cannot list the PCI devices");
	while (dir && (entry = readdir(dir)))
		if (pci_addr_parse(entry->d_name, &address) == 0)
			check_function(check, address, &sums);
	check_sums(check, &sums);
	check_holders(check, &sums);
}
