/* SPDX-License-Identifier: Apache-2.0 */
/* The directories that every host has, the control and event files, and IOMMU groups. */

#include <errno.h>
#include <string.h>

#include "control.h"
#include "group.h"
#include "mdev.h"
#include "tree_kind.h"

static bool has_mdev(const struct host *host, struct node node)
{
	(void)node;
	return host_has_mdev(host);
}

static int control_read(struct host *host, struct node node, FILE *out)
{
	(void)node;
	control_show(host, out);
	return 0;
}

static int control_write(struct host *host, struct node node, const struct tree_write *write)
{
	(void)node;
	return control_run(host, write->text);
}

/* Reading goes on where the reader was: serve.c does it. */
static int events_read(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	(void)out;
	return -EINVAL;
}

static const struct tree_entry root_entries[] = {
	{ "sys", TREE_DIR, .child = KIND_SYS },
	{ "dev", TREE_DIR, .child = KIND_DEV },
	{ "control", S_IFREG | 0600, .show = control_read, .store = control_write },
	{ "events", S_IFREG | 0444, .show = events_read },
};

static const struct tree_entry sys_entries[] = {
	{ "bus", TREE_DIR, .child = KIND_BUS },
	{ "class", TREE_DIR, .child = KIND_CLASS },
	{ "devices", TREE_DIR, .child = KIND_DEVICES },
	{ "kernel", TREE_DIR, .child = KIND_KERNEL },
	{ "module", TREE_DIR, .child = KIND_MODULE },
};

static const struct tree_entry bus_entries[] = {
	{ "pci", TREE_DIR, .child = KIND_BUS_PCI },
	{ "mdev", TREE_DIR, .child = KIND_BUS_MDEV, .exists = has_mdev },
};

static const struct tree_entry class_entries[] = {
	{ "mdev_bus", TREE_DIR, .child = KIND_CLASS_MDEV_BUS, .exists = has_mdev },
	{ "vfio", TREE_DIR, .child = KIND_CLASS_VFIO },
};

static const struct tree_entry kernel_entries[] = {
	{ "iommu_groups", TREE_DIR, .child = KIND_IOMMU_GROUPS },
};

static bool has_nvidia(const struct host *host, struct node node)
{
	(void)node;
	return host_find_driver(host, "nvidia") != NULL;
}

static int nvidia_version_show(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	fputs("550.90.05\n", out); /* of vGPU 17.2 */
	return 0;
}

static const struct tree_entry module_entries[] = {
	{ "nvidia", TREE_DIR, .child = KIND_MODULE_NVIDIA, .exists = has_nvidia },
};

static const struct tree_entry module_nvidia_entries[] = {
	{ "version", TREE_RO, .show = nvidia_version_show },
};

static const struct tree_entry bus_mdev_entries[] = {
	{ "devices", TREE_DIR, .child = KIND_BUS_MDEV_DEVICES },
	{ "drivers", TREE_DIR, .child = KIND_BUS_MDEV_DRIVERS },
};

/* ---- IOMMU groups -------------------------------------------------------------- */

struct group *tree_group_by_name(const struct host *host, const char *name)
{
	char again[16];
	uint32_t number;

	if (strlen(name) > 9 || name[strspn(name, "0123456789")] != '\0')
		return NULL;
	number = (uint32_t)strtoul(name, NULL, 10);
	snprintf(again, sizeof(again), "%u", number);
	return strcmp(name, again) == 0 ? group_find(host, number) : NULL;
}

static bool group_exists(const struct host *host, struct node node)
{
	const struct group *group = group_find(host, node.object);

	return group && group->device_count > 0;
}

static int group_type_show(struct host *host, struct node node, FILE *out)
{
	/* With iommu=pt. Groups of vGPUs have no IOMMU behind them. */
	fputs(mdev_of_group(host, group_find(host, node.object)) ? "unknown\n" : "identity\n", out);
	return 0;
}

static const struct tree_entry group_entries[] = {
	{ "devices", TREE_DIR, .child = KIND_GROUP_DEVICES },
	{ "type", TREE_RO, .show = group_type_show },
};

static bool groups_find(struct host *host, struct node node, const char *name, struct node *ret)
{
	const struct group *group = tree_group_by_name(host, name);

	(void)node;
	if (!group || group->device_count == 0)
		return false;
	*ret = (struct node){ .kind = KIND_GROUP, .object = group->number };
	return true;
}

static void groups_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[16];

	(void)node;
	for (uint32_t i = 0; i < host->group_slots; i++) {
		if (!host->groups[i] || host->groups[i]->device_count == 0)
			continue;
		snprintf(name, sizeof(name), "%u", i);
		emit(arg, name, (struct node){ .kind = KIND_GROUP, .object = i });
	}
}

static void group_devices_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct group *group = group_find(host, node.object);
	const struct mdev *mdev = mdev_of_group(host, group);

	if (mdev)
		emit(arg, mdev->uuid,
		     (struct node){ .kind = KIND_GROUP_MDEV_LINK, .object = mdev->serial });
	for (size_t i = 0; i < host->function_count; i++)
		if (host->functions[i].group == group && !host->functions[i].is_absent)
			emit(arg, BDF_STR(host->functions[i].address),
			     (struct node){ .kind = KIND_GROUP_FUNCTION_LINK,
					    .object = (uint32_t)i });
}

static bool group_devices_find(struct host *host, struct node node, const char *name,
			       struct node *ret)
{
	const struct group *group = group_find(host, node.object);
	const struct mdev *mdev = host_find_uuid(host, name);
	const struct function *function;
	struct bdf address;

	if (mdev && mdev->group == group) {
		*ret = (struct node){ .kind = KIND_GROUP_MDEV_LINK, .object = mdev->serial };
		return true;
	}
	if (bdf_parse(name, &address) < 0)
		return false;
	function = host_find_function(host, address);
	if (!function || function->group != group)
		return false;
	*ret = (struct node){ .kind = KIND_GROUP_FUNCTION_LINK, .object = function->index };
	return true;
}

const struct tree_kind tree_top_kinds[KIND_COUNT] = {
	[KIND_ROOT] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(root_entries) },
	[KIND_SYS] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(sys_entries) },
	[KIND_BUS] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(bus_entries) },
	[KIND_CLASS] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(class_entries) },
	[KIND_KERNEL] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(kernel_entries) },
	[KIND_MODULE] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(module_entries) },
	[KIND_MODULE_NVIDIA] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(module_nvidia_entries) },
	[KIND_BUS_MDEV] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(bus_mdev_entries) },
	[KIND_IOMMU_GROUPS] = { TREE_DIR, .is_fixed = true, .find = groups_find,
				.list = groups_list },
	[KIND_GROUP] = { TREE_DIR, .exists = group_exists, TREE_ENTRIES(group_entries) },
	[KIND_GROUP_DEVICES] = { TREE_DIR, .exists = group_exists, .find = group_devices_find,
				 .list = group_devices_list },
};
