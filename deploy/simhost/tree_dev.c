/* SPDX-License-Identifier: Apache-2.0 */
/* /dev: the container, groups and GPUs; and the class that lists the groups' nodes. */

#include <errno.h>
#include <string.h>

#include "group.h"
#include "tree_kind.h"

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

/* ---- groups -------------------------------------------------------------------- */

/* The group whose node this is, or its link or folder in the class. */
static struct group *group_of(const struct host *host, struct node node)
{
	struct group *group = group_find(host, node.object);

	if (!group || !group_has_node(group) || group->node_serial != node.extra)
		return NULL;
	return group;
}

struct group *tree_dev_group(const struct host *host, struct node node)
{
	return node.kind == KIND_DEV_NODE ? group_of(host, node) : NULL;
}

static bool group_node_exists(const struct host *host, struct node node)
{
	return group_of(host, node) != NULL;
}

/* What a folder that lists nodes has in it. */
static uint8_t child_kind(struct node node)
{
	switch (node.kind) {
	case KIND_DEV_VFIO:
		return KIND_DEV_NODE;
	case KIND_CLASS_VFIO:
		return KIND_CLASS_VFIO_LINK;
	default:
		return KIND_VIRTUAL_NODE;
	}
}

static struct node group_node(uint8_t kind, const struct group *group)
{
	return (struct node){ .kind = kind, .object = group->number, .extra = group->node_serial };
}

static bool group_nodes_find(struct host *host, struct node node, const char *name,
			     struct node *ret)
{
	const struct group *group = tree_group_by_name(host, name);

	if (!group || !group_has_node(group))
		return false;
	*ret = group_node(child_kind(node), group);
	return true;
}

static void group_nodes_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[16];

	for (size_t i = 0; i < host->group_slots; i++) {
		const struct group *group = host->groups[i];

		if (!group || !group_has_node(group))
			continue;
		snprintf(name, sizeof(name), "%u", group->number);
		emit(arg, name, group_node(child_kind(node), group));
	}
}

/* From class/vfio/N. */
static int class_link(struct host *host, struct node node, FILE *out)
{
	(void)host;
	fprintf(out, "../../devices/virtual/vfio/%u", node.object);
	return 0;
}

static int uevent_show(struct host *host, struct node node, FILE *out)
{
	(void)host;
	fprintf(out, "DEVNAME=vfio/%u\n", node.object);
	return 0;
}

static const struct tree_entry virtual_entries[] = {
	{ "vfio", TREE_DIR, .child = KIND_VIRTUAL_VFIO },
};

static const struct tree_entry virtual_node_entries[] = {
	{ "uevent", TREE_RO, .show = uevent_show },
};

/* ---- GPUs: object is the minor number ------------------------------------------ */

struct gpu *tree_dev_gpu(const struct host *host, struct node node)
{
	struct gpu *gpu = node.kind == KIND_DEV_GPU ? host_find_node(host, node.object) : NULL;

	return gpu && gpu->node_serial == node.extra ? gpu : NULL;
}

static bool gpu_node_exists(const struct host *host, struct node node)
{
	return tree_dev_gpu(host, node) != NULL;
}

static void dev_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[BOARD_WORD_SIZE + 16];

	(void)node;
	for (size_t i = 0; i < host->gpu_count; i++) {
		const struct gpu *gpu = &host->gpus[i];

		if (!gpu_has_node(gpu))
			continue;
		snprintf(name, sizeof(name), "%s%u", gpu->board->node, gpu->node_minor);
		emit(arg, name,
		     (struct node){ .kind = KIND_DEV_GPU,
				    .object = gpu->node_minor,
				    .extra = gpu->node_serial });
	}
}

const struct tree_kind tree_dev_kinds[KIND_COUNT] = {
	[KIND_DEV] = { TREE_DIR, .is_fixed = true, .list = dev_list, TREE_ENTRIES(dev_entries) },
	[KIND_DEV_VFIO] = { TREE_DIR, .is_fixed = true, .find = group_nodes_find,
			    .list = group_nodes_list, TREE_ENTRIES(dev_vfio_entries) },
	[KIND_DEV_NODE] = { S_IFREG | 0600, .exists = group_node_exists },
	[KIND_DEV_GPU] = { S_IFREG | 0666, .exists = gpu_node_exists },
	[KIND_CLASS_VFIO] = { TREE_DIR, .is_fixed = true, .find = group_nodes_find,
			      .list = group_nodes_list },
	[KIND_CLASS_VFIO_LINK] = { TREE_LINK, .exists = group_node_exists, .show = class_link },
	[KIND_DEVICES_VIRTUAL] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(virtual_entries) },
	[KIND_VIRTUAL_VFIO] = { TREE_DIR, .is_fixed = true, .find = group_nodes_find,
				.list = group_nodes_list },
	[KIND_VIRTUAL_NODE] = { TREE_DIR, .exists = group_node_exists,
				TREE_ENTRIES(virtual_node_entries) },
};
