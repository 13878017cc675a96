/* SPDX-License-Identifier: Apache-2.0 */
/* mdev_supported_types, vGPUs, and /sys/bus/mdev. */

#include <errno.h>
#include <string.h>

#include "mdev.h"
#include "tree_kind.h"

#define TYPE_BITS 8
_Static_assert(BOARD_TYPES_MAX <= 1 << TYPE_BITS, "a type has 8 bits of a node's object");
_Static_assert(SPEC_GPUS_MAX *HOST_GPU_FUNCTIONS_MAX <= 1 << 16, "a function has 16 bits");

/* ---- types: object is function << 8 | type ------------------------------------- */

static struct function *type_parent(const struct host *host, struct node node)
{
	return &host->functions[node.object >> TYPE_BITS];
}

static const struct board_type *type_of(const struct host *host, struct node node)
{
	return &type_parent(host, node)->gpu->board->types[node.object & ((1u << TYPE_BITS) - 1)];
}

static struct node type_node(const struct function *parent, const struct board_type *type)
{
	uint32_t index = (uint32_t)(type - parent->gpu->board->types);

	return (struct node){ .kind = KIND_TYPE, .object = parent->index << TYPE_BITS | index };
}

static bool types_exist(const struct host *host, struct node node)
{
	return function_is_mdev_parent(&host->functions[node.object]);
}

static bool type_exists(const struct host *host, struct node node)
{
	return function_is_mdev_parent(type_parent(host, node));
}

static bool type_has_name(const struct host *host, struct node node)
{
	return type_of(host, node)->name[0] != '\0';
}

static int name_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%s\n", type_of(host, node)->name);
	return 0;
}

static int description_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%s\n", type_of(host, node)->description);
	return 0;
}

static int available_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%llu\n",
		(unsigned long long)mdev_available(type_parent(host, node), type_of(host, node)));
	return 0;
}

static int device_api_show(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	fputs("vfio-pci\n", out);
	return 0;
}

static int create_store(struct host *host, struct node node, const struct tree_write *write)
{
	return mdev_create(host, type_parent(host, node), type_of(host, node), write->text,
			   write->length);
}

static const struct tree_entry type_entries[] = {
	{ "available_instances", TREE_RO, .show = available_show },
	{ "create", TREE_WO, .store = create_store, .op = OP_CREATE },
	{ "description", TREE_RO, .show = description_show },
	{ "device_api", TREE_RO, .show = device_api_show },
	{ "devices", TREE_DIR, .child = KIND_TYPE_DEVICES },
	{ "name", TREE_RO, .exists = type_has_name, .show = name_show },
};

/* "nvidia-1147": the driver that the parent has now, and the id. */
static void types_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct function *parent = &host->functions[node.object];
	const struct board *board = parent->gpu->board;
	char name[2 * BOARD_WORD_SIZE];

	for (size_t i = 0; i < board->type_count; i++) {
		snprintf(name, sizeof(name), "%s-%s", parent->driver, board->types[i].id);
		emit(arg, name, type_node(parent, &board->types[i]));
	}
}

static bool types_find(struct host *host, struct node node, const char *name, struct node *ret)
{
	const struct function *parent = &host->functions[node.object];
	const struct board *board = parent->gpu->board;
	size_t length = strlen(parent->driver);

	if (strncmp(name, parent->driver, length) != 0 || name[length] != '-')
		return false;
	for (size_t i = 0; i < board->type_count; i++) {
		if (strcmp(name + length + 1, board->types[i].id) != 0)
			continue;
		*ret = type_node(parent, &board->types[i]);
		return true;
	}
	return false;
}

/* ---- vGPUs: object is the serial ----------------------------------------------- */

static struct mdev *mdev_of(const struct host *host, struct node node)
{
	return host_find_mdev(host, node.object);
}

static bool mdev_exists(const struct host *host, struct node node)
{
	return mdev_of(host, node) != NULL;
}

static struct function *mdev_owner(const struct host *host, struct node node)
{
	const struct mdev *mdev = mdev_of(host, node);

	return mdev ? mdev->parent : NULL;
}

static bool mdev_is_live(const struct host *host, struct node node)
{
	const struct mdev *mdev = mdev_of(host, node);

	return mdev && mdev->state == MDEV_LIVE;
}

static bool mdev_has_vendor_dir(const struct host *host, struct node node)
{
	return mdev_is_live(host, node) &&
	       mdev_of(host, node)->parent->gpu->board->vendor_dir[0] != '\0';
}

static int mdev_driver_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../../../../bus/mdev/drivers/%s",
		mdev_of(host, node)->parent->gpu->board->mdev_driver);
	return 0;
}

static int mdev_group_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../../../../kernel/iommu_groups/%u", mdev_of(host, node)->group->number);
	return 0;
}

static int mdev_type_link(struct host *host, struct node node, FILE *out)
{
	const struct mdev *mdev = mdev_of(host, node);

	fprintf(out, "../mdev_supported_types/%s-%s", mdev->parent->driver, mdev->type->id);
	return 0;
}

static int mdev_subsystem_link(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	fputs("../../../../bus/mdev", out);
	return 0;
}

static int mdev_uevent_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "DRIVER=%s\nSUBSYSTEM=mdev\n",
		mdev_of(host, node)->parent->gpu->board->mdev_driver);
	return 0;
}

/* Any number but 0 removes; and what is no number, be it only too large, is EINVAL. */
static int remove_store(struct host *host, struct node node, const struct tree_write *write)
{
	unsigned long number;

	if (tree_number_parse(write, &number) < 0)
		return -EINVAL;
	if (number == 0)
		return 0;
	return mdev_remove(host, mdev_of(host, node), &write->writer, write->waiter);
}

static int params_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%s\n", mdev_of(host, node)->params);
	return 0;
}

static int params_store(struct host *host, struct node node, const struct tree_write *write)
{
	struct mdev *mdev = mdev_of(host, node);
	size_t length = strcspn(write->text, "\n");

	if (mdev->group->is_held)
		return -EPERM;
	if (length >= sizeof(mdev->params))
		return -E2BIG;
	memcpy(mdev->params, write->text, length);
	mdev->params[length] = '\0';
	return 0;
}

/* Not empty exactly while in use. The driver prints QEMU's -name; here it is the holder's. */
static int vm_name_show(struct host *host, struct node node, FILE *out)
{
	const struct group *group = mdev_of(host, node)->group;

	fprintf(out, "%s\n", group->is_held ? group->holder.command : "");
	return 0;
}

static const struct tree_entry vendor_entries[] = {
	{ "vgpu_params", TREE_RW, .show = params_show, .store = params_store },
	{ "vm_name", TREE_RO, .show = vm_name_show },
};

/* The vendor's directory is named by the board, hence not among these. */
static const struct tree_entry mdev_entries[] = {
	{ "driver", TREE_LINK, .exists = mdev_is_live, .show = mdev_driver_link },
	{ "iommu_group", TREE_LINK, .show = mdev_group_link },
	{ "mdev_type", TREE_LINK, .exists = mdev_is_live, .show = mdev_type_link },
	{ "remove", TREE_WO, .exists = mdev_is_live, .store = remove_store, .op = OP_REMOVE },
	{ "subsystem", TREE_LINK, .exists = mdev_is_live, .show = mdev_subsystem_link },
	{ "uevent", TREE_RO, .exists = mdev_is_live, .show = mdev_uevent_show },
	{ "vfio-dev", TREE_DIR, .child = KIND_MDEV_VFIO },
};

static void mdev_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	if (mdev_has_vendor_dir(host, node))
		emit(arg, mdev_of(host, node)->parent->gpu->board->vendor_dir,
		     (struct node){ .kind = KIND_MDEV_VENDOR, .object = node.object });
}

static void mdev_vfio_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[32];

	snprintf(name, sizeof(name), "vfio%u", mdev_of(host, node)->vfio_number);
	emit(arg, name, (struct node){ .kind = KIND_VFIO_DEVICE, .object = node.object });
}

/* ---- directories of links to vGPUs --------------------------------------------- */

/* Where a directory lists vGPUs: which of the live ones, and as what kind of link. */
struct mdev_filter {
	uint8_t kind;
	bool (*takes)(const struct host *host, struct node node, const struct mdev *mdev);
};

static bool takes_all(const struct host *host, struct node node, const struct mdev *mdev)
{
	(void)host;
	(void)node;
	(void)mdev;
	return true;
}

static bool takes_same_type(const struct host *host, struct node node, const struct mdev *mdev)
{
	return mdev->parent == type_parent(host, node) && mdev->type == type_of(host, node);
}

static bool takes_driven(const struct host *host, struct node node, const struct mdev *mdev)
{
	return strcmp(mdev->parent->gpu->board->mdev_driver, host->mdev_drivers[node.object]) == 0;
}

static const struct mdev_filter mdev_filters[KIND_COUNT] = {
	[KIND_BUS_MDEV_DEVICES] = { KIND_MDEV_LINK, takes_all },
	[KIND_TYPE_DEVICES] = { KIND_TYPE_MDEV_LINK, takes_same_type },
	[KIND_MDEV_DRIVER] = { KIND_MDEV_DRIVER_LINK, takes_driven },
};

static bool mdevs_find(struct host *host, struct node node, const char *name, struct node *ret)
{
	const struct mdev_filter *filter = &mdev_filters[node.kind];
	const struct mdev *mdev = host_find_uuid(host, name);

	if (!mdev || mdev->state != MDEV_LIVE || !filter->takes(host, node, mdev))
		return false;
	*ret = (struct node){ .kind = filter->kind, .object = mdev->serial };
	return true;
}

static void mdevs_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct mdev_filter *filter = &mdev_filters[node.kind];

	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (mdev->state == MDEV_LIVE && filter->takes(host, node, mdev))
			emit(arg, mdev->uuid,
			     (struct node){ .kind = filter->kind, .object = mdev->serial });
}

static int mdev_path(const struct host *host, struct node node, const char *up, FILE *out)
{
	const struct mdev *mdev = mdev_of(host, node);

	fprintf(out, "%s%s/%s", up, function_path(mdev->parent).s, mdev->uuid);
	return 0;
}

/* From bus/mdev/devices/U. */
static int mdev_link(struct host *host, struct node node, FILE *out)
{
	return mdev_path(host, node, "../../..", out);
}

/* From bus/mdev/drivers/D/U and kernel/iommu_groups/N/devices/U. */
static int deep_link(struct host *host, struct node node, FILE *out)
{
	return mdev_path(host, node, "../../../..", out);
}

/* From PARENT/mdev_supported_types/T/devices/U. */
static int type_mdev_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../../../%s", mdev_of(host, node)->uuid);
	return 0;
}

static void mdev_drivers_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	(void)node;
	for (uint32_t i = 0; i < host->mdev_driver_count; i++)
		emit(arg, host->mdev_drivers[i],
		     (struct node){ .kind = KIND_MDEV_DRIVER, .object = i });
}

const struct tree_kind tree_mdev_kinds[KIND_COUNT] = {
	[KIND_TYPES] = { TREE_DIR, .owner = tree_function_owner, .exists = types_exist,
			 .find = types_find, .list = types_list },
	[KIND_TYPE] = { TREE_DIR, .owner = type_parent, .exists = type_exists,
			TREE_ENTRIES(type_entries) },
	[KIND_TYPE_DEVICES] = { TREE_DIR, .owner = type_parent, .exists = type_exists,
				.find = mdevs_find, .list = mdevs_list },
	[KIND_TYPE_MDEV_LINK] = { TREE_LINK, .exists = mdev_is_live, .show = type_mdev_link },
	[KIND_BUS_MDEV_DEVICES] = { TREE_DIR, .is_fixed = true, .find = mdevs_find,
				    .list = mdevs_list },
	[KIND_BUS_MDEV_DRIVERS] = { TREE_DIR, .is_fixed = true, .list = mdev_drivers_list },
	[KIND_MDEV_DRIVER] = { TREE_DIR, .is_fixed = true, .find = mdevs_find, .list = mdevs_list },
	[KIND_MDEV_DRIVER_LINK] = { TREE_LINK, .exists = mdev_is_live, .show = deep_link },
	[KIND_MDEV_LINK] = { TREE_LINK, .exists = mdev_is_live, .show = mdev_link },
	[KIND_GROUP_MDEV_LINK] = { TREE_LINK, .exists = mdev_exists, .show = deep_link },
	[KIND_MDEV] = { TREE_DIR, .owner = mdev_owner, .exists = mdev_exists, .list = mdev_list,
			TREE_ENTRIES(mdev_entries) },
	[KIND_MDEV_VENDOR] = { TREE_DIR, .owner = mdev_owner, .exists = mdev_is_live,
			       TREE_ENTRIES(vendor_entries) },
	[KIND_MDEV_VFIO] = { TREE_DIR, .exists = mdev_exists, .list = mdev_vfio_list },
	[KIND_VFIO_DEVICE] = { TREE_DIR },
};
