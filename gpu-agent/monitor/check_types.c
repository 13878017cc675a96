/* SPDX-License-Identifier: Apache-2.0 */
#include "check_types.h"

#include <errno.h>
#include <string.h>

#include "common/scoped.h"
#include "pci.h"
#include "vendor.h"

#define TYPES  PCI "/mdev_supported_types"
#define NO_FIX ""

struct look {
	bool creatable, used;
};

/* ---- one function ------------------------------------------------------------------------ */

/* The next name that is not hidden; NULL at the end. */
static const char *next_name(DIR *dir)
{
	const struct dirent *entry;

	do
		entry = readdir(dir);
	while (entry && entry->d_name[0] == '.');
	return entry ? entry->d_name : NULL;
}

static int look_at_type(const struct tree *sysfs, struct pci_addr function, const char *type,
			struct look *ret)
{
	scoped_dir DIR *devices = NULL;
	int64_t available;
	int r = tree_read_number(sysfs, &available, TYPES "/%s/available_instances",
				 PCI_STR(function), type);

	if (r == 0)
		r = tree_list(sysfs, &devices, TYPES "/%s/devices", PCI_STR(function), type);
	if (r < 0)
		return r;
	ret->creatable |= available > 0;
	ret->used |= next_name(devices) != NULL;
	return 0;
}

/* Ends at the first type that can be created: there is nothing more to know. */
static int look_at_mdev(const struct tree *sysfs, struct pci_addr function, struct look *ret)
{
	scoped_dir DIR *dir = NULL;
	const char *type;
	int r = tree_list(sysfs, &dir, TYPES, PCI_STR(function));

	while (r == 0 && !ret->creatable && (type = next_name(dir)))
		r = look_at_type(sysfs, function, type, ret);
	return r;
}

static int look_at_vendor(const struct tree *sysfs, struct pci_addr function, struct look *ret)
{
	char text[TREE_TEXT_MAX];
	const char *rest = text;
	struct vendor_line line;
	uint32_t type = 0;
	int r = vendor_read_type(sysfs, function, &type);

	if (r < 0)
		return r;
	ret->used = type != 0;
	if (ret->used)
		return 0; /* its list says what others could have */
	r = tree_read(sysfs, text, sizeof(text), VENDOR_CREATABLE, PCI_STR(function));
	if (r < 0)
		return r;
	r = vendor_next_line(&rest, &line);
	ret->creatable = r > 0;
	return r < 0 ? r : 0;
}

/* -ENOENT: it is none that carries vGPUs. */
static int look_at(const struct tree *sysfs, struct pci_addr function, struct look *ret)
{
	int r = look_at_mdev(sysfs, function, ret);

	return r == -ENOENT ? look_at_vendor(sysfs, function, ret) : r;
}

/* NULL: more GPUs than findings are made for. */
static struct check_types_gpu *find_gpu(struct check_types *types, struct pci_addr address)
{
	for (size_t i = 0; i < types->count; i++)
		if (pci_addr_compare(types->gpus[i].address, address) == 0)
			return &types->gpus[i];
	if (types->count == OPS_GPUS_MAX)
		return NULL;
	types->gpus[types->count] = (struct check_types_gpu){ .address = address };
	return &types->gpus[types->count++];
}

void check_types_look(const struct check *check, struct pci_addr gpu, struct pci_addr function,
		      struct check_types *types)
{
	struct check_types_gpu *sums;
	struct look look = { 0 };
	int r = look_at(&check->host->sysfs, function, &look);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		check_add(check, OP_LEVEL_WARN, "vgpu-types", PCI_STR(function),
			  "see \"dmesg\"; restart nvidia-vgpu-mgr",
			  "its vGPU types cannot be read, so it is not used: %s", strerror(-r));
		return;
	}
	sums = find_gpu(types, gpu);
	if (!sums)
		return;
	sums->functions++;
	sums->creatable += look.creatable;
	sums->used += look.used;
}

/* ---- all of them -------------------------------------------------------------------------- */

static void report_gpu(const struct check *check, const struct check_types_gpu *gpu)
{
	if (gpu->creatable > 0)
		check_add(check, OP_LEVEL_PASS, "vgpu-types", PCI_STR(gpu->address), NO_FIX,
			  "vGPUs can be created on %u of %u functions", gpu->creatable,
			  gpu->functions);
	else if (gpu->used > 0)
		check_add(check, OP_LEVEL_PASS, "vgpu-types", PCI_STR(gpu->address), NO_FIX,
			  "it is full: %u of %u functions have vGPUs, and no other can be created",
			  gpu->used, gpu->functions);
	else
		check_add(check, OP_LEVEL_WARN, "vgpu-types", PCI_STR(gpu->address),
			  "see \"dmesg\" and \"systemctl status nvidia-vgpu-mgr\"; in MIG mode, "
			  "create GPU instances (nvidia-smi mig -cgi)",
			  "none of %u functions offers a vGPU type, and none has a vGPU",
			  gpu->functions);
}

unsigned check_types_report(const struct check *check, const struct check_types *types)
{
	unsigned functions = 0;

	for (size_t i = 0; i < types->count; i++) {
		const struct check_types_gpu *gpu = &types->gpus[i];

		report_gpu(check, gpu);
		if (gpu->creatable + gpu->used > 0)
			functions += gpu->functions;
	}
	return functions;
}
