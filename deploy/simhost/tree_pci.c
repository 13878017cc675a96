/* SPDX-License-Identifier: Apache-2.0 */
/* Where PCI functions are listed, and their drivers: /sys/devices, /sys/bus/pci, mdev_bus. */

#include <errno.h>

#include "driver.h"
#include "tree_kind.h"

/* ---- writes that name a function ----------------------------------------------- */

/* The function that a write to bind, unbind or drivers_probe names; NULL: none. */
static struct function *function_named(struct host *host, const struct tree_write *write)
{
	char word[sizeof(struct bdf_text)];
	struct bdf address;

	if (tree_word_parse(write, sizeof(word), word) < 0 || bdf_parse(word, &address) < 0)
		return NULL;
	return host_find_function(host, address);
}

static int probe_store(struct host *host, struct node node, const struct tree_write *write)
{
	struct function *function = function_named(host, write);

	(void)node;
	return function ? driver_probe(host, function) : -ENODEV;
}

static int bind_store(struct host *host, struct node node, const struct tree_write *write)
{
	struct function *function = function_named(host, write);

	return function ? driver_bind(host, function, host->drivers[node.object]) : -ENODEV;
}

static int unbind_store(struct host *host, struct node node, const struct tree_write *write)
{
	struct function *function = function_named(host, write);

	return function ? driver_unbind(host, function, host->drivers[node.object], &write->writer,
					write->waiter)
			: -ENODEV;
}

/* "10de 26b9": the fields that may follow narrow a match down, and are not modelled. */
static int id_parse(const struct tree_write *write, uint32_t *ret_vendor, uint32_t *ret_device)
{
	return sscanf(write->text, "%x %x", ret_vendor, ret_device) == 2 ? 0 : -EINVAL;
}

static int new_id_store(struct host *host, struct node node, const struct tree_write *write)
{
	uint32_t vendor, device;

	if (id_parse(write, &vendor, &device) < 0)
		return -EINVAL;
	return driver_add_id(host, host->drivers[node.object], vendor, device);
}

static int remove_id_store(struct host *host, struct node node, const struct tree_write *write)
{
	uint32_t vendor, device;

	if (id_parse(write, &vendor, &device) < 0)
		return -EINVAL;
	return driver_remove_id(host, host->drivers[node.object], vendor, device);
}

static const struct tree_entry bus_pci_entries[] = {
	{ "devices", TREE_DIR, .child = KIND_BUS_PCI_DEVICES },
	{ "drivers", TREE_DIR, .child = KIND_BUS_PCI_DRIVERS },
	{ "drivers_probe", TREE_WO, .store = probe_store, .op = OP_PROBE,
	  .target = function_named },
};

static const struct tree_entry driver_entries[] = {
	{ "bind", TREE_WO, .store = bind_store, .op = OP_BIND, .target = function_named },
	{ "new_id", TREE_WO, .store = new_id_store },
	{ "remove_id", TREE_WO, .store = remove_id_store },
	{ "unbind", TREE_WO, .store = unbind_store, .op = OP_UNBIND, .target = function_named },
};

/* ---- directories of functions -------------------------------------------------- */

/* Where a directory lists functions: which, and as what kind of node. */
struct function_filter {
	uint8_t kind;
	bool (*takes)(const struct host *host, struct node node, const struct function *function);
};

static bool takes_all(const struct host *host, struct node node, const struct function *function)
{
	(void)host;
	(void)node;
	(void)function;
	return true;
}

static bool takes_same_bus(const struct host *host, struct node node,
			   const struct function *function)
{
	(void)host;
	return function->bus_index == node.object;
}

static bool takes_driven(const struct host *host, struct node node, const struct function *function)
{
	return function->driver == host->drivers[node.object] && !function->is_unbinding;
}

static bool takes_mdev_parent(const struct host *host, struct node node,
			      const struct function *function)
{
	(void)host;
	(void)node;
	return function_is_mdev_parent(function);
}

static const struct function_filter function_filters[KIND_COUNT] = {
	[KIND_BUS_PCI_DEVICES] = { KIND_PCI_LINK, takes_all },
	[KIND_PCI_ROOT] = { KIND_FUNCTION, takes_same_bus },
	[KIND_PCI_DRIVER] = { KIND_PCI_DRIVER_LINK, takes_driven },
	[KIND_CLASS_MDEV_BUS] = { KIND_CLASS_LINK, takes_mdev_parent },
};

static bool functions_find(struct host *host, struct node node, const char *name, struct node *ret)
{
	const struct function_filter *filter = &function_filters[node.kind];
	const struct function *function;
	struct bdf address;

	if (bdf_parse(name, &address) < 0)
		return false;
	function = host_find_function(host, address);
	if (!function || !filter->takes(host, node, function))
		return false;
	*ret = (struct node){ .kind = filter->kind, .object = function->index };
	return true;
}

static void functions_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct function_filter *filter = &function_filters[node.kind];

	for (uint32_t i = 0; i < host->function_count; i++)
		if (!host->functions[i].is_absent && filter->takes(host, node, &host->functions[i]))
			emit(arg, BDF_STR(host->functions[i].address),
			     (struct node){ .kind = filter->kind, .object = i });
}

static int path_show(const struct host *host, struct node node, const char *up, FILE *out)
{
	fprintf(out, "%s%s", up, function_path(&host->functions[node.object]).s);
	return 0;
}

/* From bus/pci/devices/X, class/mdev_bus/X: two up is sys, or its bus. */
static int pci_link(struct host *host, struct node node, FILE *out)
{
	return path_show(host, node, "../../..", out);
}

static int class_link(struct host *host, struct node node, FILE *out)
{
	return path_show(host, node, "../..", out);
}

/* From bus/pci/drivers/D/X and kernel/iommu_groups/N/devices/X. */
static int deep_link(struct host *host, struct node node, FILE *out)
{
	return path_show(host, node, "../../../..", out);
}

static const struct tree_entry devices_entries[] = {
	{ "virtual", TREE_DIR, .child = KIND_DEVICES_VIRTUAL },
};

static void buses_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[32];

	(void)node;
	for (uint32_t i = 0; i < host->bus_count; i++) {
		snprintf(name, sizeof(name), "pci%04x:%02x", host->buses[i].domain,
			 host->buses[i].number);
		emit(arg, name, (struct node){ .kind = KIND_PCI_ROOT, .object = i });
	}
}

static void drivers_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	(void)node;
	for (uint32_t i = 0; i < host->driver_count; i++)
		emit(arg, host->drivers[i], (struct node){ .kind = KIND_PCI_DRIVER, .object = i });
}

const struct tree_kind tree_pci_kinds[KIND_COUNT] = {
	[KIND_BUS_PCI] = { TREE_DIR, .is_fixed = true, TREE_ENTRIES(bus_pci_entries) },
	[KIND_BUS_PCI_DEVICES] = { TREE_DIR, .is_fixed = true, .find = functions_find,
				   .list = functions_list },
	[KIND_BUS_PCI_DRIVERS] = { TREE_DIR, .is_fixed = true, .list = drivers_list },
	[KIND_CLASS_MDEV_BUS] = { TREE_DIR, .is_fixed = true, .find = functions_find,
				  .list = functions_list },
	[KIND_DEVICES] = { TREE_DIR, .is_fixed = true, .list = buses_list,
			   TREE_ENTRIES(devices_entries) },
	[KIND_PCI_ROOT] = { TREE_DIR, .is_fixed = true, .find = functions_find,
			    .list = functions_list },
	[KIND_PCI_DRIVER] = { TREE_DIR, .is_fixed = true, .find = functions_find,
			      .list = functions_list, TREE_ENTRIES(driver_entries) },
	[KIND_PCI_DRIVER_LINK] = { TREE_LINK, .owner = tree_function_owner, .show = deep_link },
	[KIND_PCI_LINK] = { TREE_LINK, .owner = tree_function_owner, .show = pci_link },
	[KIND_CLASS_LINK] = { TREE_LINK, .owner = tree_function_owner, .show = class_link },
	[KIND_GROUP_FUNCTION_LINK] = { TREE_LINK, .owner = tree_function_owner, .show = deep_link },
};
