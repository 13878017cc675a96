/* SPDX-License-Identifier: Apache-2.0 */
/* The directories that every host has, IOMMU groups, and /dev/vfio. */

#include <errno.h>
#include <string.h>

#include "control.h"
#include "group.h"
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

static const struct tree_entry root_entries[] = {
	{ "sys", TREE_DIR, .child = KIND_SYS },
	{ "dev", TREE_DIR, .child = KIND_DEV },
	{ "control", S_IFREG | 0600, .show = control_read, .store = control_write },
};

static const struct tree_entry sys_entries[] = {
	{ "bus", TREE_DIR, .child = KIND_BUS },
	{ "class", TREE_DIR, .child = KIND_CLASS },
	{ "devices", TREE_DIR, .child = KIND_DEVICES },
	{ "kernel", TREE_DIR, .child = KIND_KERNEL },
};

static const struct tree_entry bus_entries[] = {
	{ "pci", TREE_DIR, .child = KIND_BUS_PCI },
	{ "mdev", TREE_DIR, .child = KIND_BUS_MDEV, .exists = has_mdev },
};

static const struct tree_entry class_entries[] = {
	{ "mdev_bus", TREE_DIR, .child = KIND_CLASS_MDEV_BUS, .exists = has_mdev },
};

static const struct tree_entry kernel_entries[] = {
	{ "iommu_groups", TREE_DIR, .child = KIND_IOMMU_GROUPS },
};

static const struct tree_entry bus_mdev_entries[] = {
	{ "devices", TREE_DIR, .child = KIND_BUS_MDEV_DEVICES },
	{ "drivers", TREE_DIR, .child = KIND_BUS_MDEV_DRIVERS },
};

static const struct tree_entry dev_entries[] = {
	{ "vfio", TREE_DIR, .child = KIND_DEV_VFIO },
};

/* /dev/vfio/vfio, the container: it opens, and answers no ioctl. */
static int container_read(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	(void)out;
	return -EINVAL;
}

static int container_write(struct host *host, struct node node, const struct tree_write *write)
{
	(void)host;
	(void)node;
	(void)write;
	return -EINVAL;
}

static const struct tree_entry dev_vfio_entries[] = {
	{ "vfio", S_IFREG | 0666, .show = container_read, .store = container_write },
};

/* ---- IOMMU groups -------------------------------------------------------------- */

/* The number of a group, written as the kernel prints it. */
static struct group *group_by_name(struct host *host, const char *name)
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
	return group_find(host, node.object) != NULL;
}

static const struct mdev *group_mdev(const struct host *host, const struct group *group)
{
	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (mdev->group == group)
			return mdev;
	return NULL;
}

static int group_type_show(struct host *host, struct node node, FILE *out)
{
	/* Groups of vGPUs have no IOMMU behind them. */
	fputs(group_mdev(host, group_find(host, node.object)) ? "unknown\n" : "DMA-FQ\n", out);
	return 0;
}

static const struct tree_entry group_entries[] = {
	{ "devices", TREE_DIR, .child = KIND_GROUP_DEVICES },
	{ "type", TREE_RO, .show = group_type_show },
};

static bool groups_find(struct host *host, struct node node, const char *name, struct node *ret)
{
	const struct group *group = group_by_name(host, name);

	(void)node;
	if (group)
		*ret = (struct node){ .kind = KIND_GROUP, .object = group->number };
	return group != NULL;
}

static void groups_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[16];

	(void)node;
	for (uint32_t i = 0; i < host->group_slots; i++) {
		if (!host->groups[i])
			continue;
		snprintf(name, sizeof(name), "%u", i);
		emit(arg, name, (struct node){ .kind = KIND_GROUP, .object = i });
	}
}

static void group_devices_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct group *group = group_find(host, node.object);
	const struct mdev *mdev = group_mdev(host, group);

	if (mdev)
		emit(arg, mdev->uuid,
		     (struct node){ .kind = KIND_GROUP_MDEV_LINK, .object = mdev->serial });
	for (size_t i = 0; i < host->function_count; i++)
		if (host->functions[i].group == group)
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

/* ---- /dev/vfio ----------------------------------------------------------------- */

static struct node dev_node(const struct group *group)
{
	return (struct node){ .kind = KIND_DEV_NODE,
			      .object = group->number,
			      .extra = group->node_serial };
}

static bool dev_node_exists(const struct host *host, struct node node)
{
	return tree_dev_group(host, node) != NULL;
}

static bool dev_vfio_find(struct host *host, struct node node, const char *name, struct node *ret)
{
	const struct group *group = group_by_name(host, name);

	(void)node;
	if (!group || !group_has_node(group))
		return false;
	*ret = dev_node(group);
	return true;
}

static void dev_vfio_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[16];

	(void)node;
	for (size_t i = 0; i < host->group_slots; i++) {
		const struct group *group = host->groups[i];

		if (!group || !group_has_node(group))
			continue;
		snprintf(name, sizeof(name), "%u", group->number);
		emit(arg, name, dev_node(group));
	}
}

const struct tree_kind tree_top_kinds[KIND_COUNT] = {
	[KIND_ROOT] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(root_entries) },
	[KIND_SYS] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(sys_entries) },
	[KIND_BUS] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(bus_entries) },
	[KIND_CLASS] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(class_entries) },
	[KIND_KERNEL] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(kernel_entries) },
	[KIND_BUS_MDEV] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(bus_mdev_entries) },
	[KIND_IOMMU_GROUPS] = { TREE_DIR, .is_fixed = true, .find = groups_find,
				.list = groups_list },
	[KIND_GROUP] = { TREE_DIR, .exists = group_exists, TREE_ENTRIES(group_entries) },
	[KIND_GROUP_DEVICES] = { TREE_DIR, .exists = group_exists, .find = group_devices_find,
				 .list = group_devices_list },
	[KIND_DEV] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(dev_entries) },
	[KIND_DEV_VFIO] = { TREE_DIR, .is_fixed = true, .find = dev_vfio_find,
			    .list = dev_vfio_list, TREE_ENTRIES(dev_vfio_entries) },
	[KIND_DEV_NODE] = { S_IFREG | 0600, .exists = dev_node_exists },
};
