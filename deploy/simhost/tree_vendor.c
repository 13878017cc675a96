/* SPDX-License-Identifier: Apache-2.0 */
/* The folder "nvidia" of a virtual function in the vendor's VFIO framework. */

#include <errno.h>

#include "tree_kind.h"
#include "vendor.h"

static const struct function *function_of(const struct host *host, struct node node)
{
	return &host->functions[node.object];
}

static bool vendor_exists(const struct host *host, struct node node)
{
	const struct function *function = function_of(host, node);

	return function_is_vendor_vf(function) && !function->is_unbinding;
}

static int creatable_show(struct host *host, struct node node, FILE *out)
{
	vendor_list(function_of(host, node), out);
	return 0;
}

static int type_show(struct host *host, struct node node, FILE *out)
{
	const struct board_type *type = function_of(host, node)->vgpu.type;

	fprintf(out, "%s\n", type ? type->id : "0");
	return 0;
}

static int number_parse(const struct tree_write *write, uint32_t *ret)
{
	unsigned long number;
	int r = tree_number_parse(write, &number);

	if (r < 0)
		return r;
	if (number > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)number;
	return 0;
}

static int type_store(struct host *host, struct node node, const struct tree_write *write)
{
	uint32_t id;
	int r = number_parse(write, &id);

	return r < 0 ? r
		     : vendor_set_type(host, &host->functions[node.object], id, &write->writer,
				       write->waiter);
}

/* Only a vGPU that is backed by a MIG instance has one, and there are none. */
static int instance_show(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	(void)out;
	return -ENXIO;
}

static int instance_store(struct host *host, struct node node, const struct tree_write *write)
{
	(void)host;
	(void)node;
	(void)write;
	return -ENXIO;
}

static int placement_show(struct host *host, struct node node, FILE *out)
{
	uint32_t id;
	int r = vendor_placement(function_of(host, node), &id);

	if (r == 0)
		fprintf(out, "%u\n", id);
	return r;
}

static int placement_store(struct host *host, struct node node, const struct tree_write *write)
{
	uint32_t id;
	int r = number_parse(write, &id);

	return r < 0 ? r : vendor_set_placement(host, &host->functions[node.object], id);
}

static int params_show(struct host *host, struct node node, FILE *out)
{
	const struct vendor_vgpu *vgpu = &function_of(host, node)->vgpu;

	if (!vgpu->type)
		return -ENXIO;
	fprintf(out, "%s\n", vgpu->params);
	return 0;
}

static int params_store(struct host *host, struct node node, const struct tree_write *write)
{
	return vendor_set_params(&host->functions[node.object], write->text);
}

/* The hook of a driver update under running vGPUs: none is ever under way. */
static int warm_update_show(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	(void)out;
	return 0;
}

static int warm_update_store(struct host *host, struct node node, const struct tree_write *write)
{
	(void)host;
	(void)node;
	(void)write;
	return -EPERM;
}

static const struct tree_entry vendor_entries[] = {
	{ "creatable_vgpu_types", TREE_RO, .show = creatable_show },
	{ "current_vgpu_type", TREE_RW, .show = type_show, .store = type_store, .op = OP_TYPE },
	{ "gpu_instance_id", TREE_RW, .show = instance_show, .store = instance_store },
	{ "placement_id", TREE_RW, .show = placement_show, .store = placement_store },
	{ "vgpu_params", TREE_RW, .show = params_show, .store = params_store },
	{ "warm_update", TREE_RW, .show = warm_update_show, .store = warm_update_store },
};

const struct tree_kind tree_vendor_kinds[KIND_COUNT] = {
	[KIND_FUNCTION_VENDOR] = { TREE_DIR, .exists = vendor_exists, .owner = tree_function_owner,
				   TREE_ENTRIES(vendor_entries) },
};
