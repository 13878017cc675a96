// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module test_pci: root buses with a GPU each, which has an audio function and up to BOARD_VFS
 * virtual functions. gpus=DOMAIN:BUS[@NODE],... says where, in hexadecimal but for the node:
 * gpus=0000:81,0001:c8@1. It cannot be unloaded: the IOMMU core keeps our operations.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "board.h"
#include "pci.h"

/* Memory that the buses hand out: 16 GiB each, where a small machine has none. */
#define WINDOW_BASE (256ULL << 30)
#define WINDOW_SIZE (16ULL << 30)

#define SLOTS_MAX 16

static char *gpus[SLOTS_MAX];
static unsigned int gpu_count;
module_param_array(gpus, charp, &gpu_count, 0444);
MODULE_PARM_DESC(gpus, "DOMAIN:BUS[@NODE] of each GPU");

static int parse_place(const char *text, struct slot *slot)
{
	unsigned int domain, bus;
	int node = NUMA_NO_NODE;

	if (sscanf(text, "%x:%x@%d", &domain, &bus, &node) < 2 || domain > 0xffff || bus > 0xff) {
		pr_err("'%s' is no DOMAIN:BUS[@NODE]\n", text);
		return -EINVAL;
	}
	slot->sysdata.domain = domain;
	slot->sysdata.node = node;
	slot->number = bus;
	return 0;
}

static int scan_bus(struct slot *slot, unsigned int index)
{
	LIST_HEAD(resources);

	slot->bus_range = (struct resource){
		.name = "test_pci bus",
		.start = slot->number,
		.end = slot->number,
		.flags = IORESOURCE_BUS,
	};
	slot->window = (struct resource){
		.name = "test_pci window",
		.start = WINDOW_BASE + index * WINDOW_SIZE,
		.end = WINDOW_BASE + (index + 1) * WINDOW_SIZE - 1,
		.flags = IORESOURCE_MEM | IORESOURCE_PREFETCH | IORESOURCE_MEM_64,
	};
	if (request_resource(&iomem_resource, &slot->window))
		return -EBUSY;
	pci_add_resource(&resources, &slot->bus_range);
	pci_add_resource(&resources, &slot->window);
	slot->bus =
		pci_scan_root_bus(NULL, slot->number, &slot_config_ops, &slot->sysdata, &resources);
	if (!slot->bus) {
		release_resource(&slot->window);
		return -ENODEV;
	}
	pci_lock_rescan_remove();
	pci_bus_assign_resources(slot->bus);
	pci_bus_add_devices(slot->bus);
	pci_unlock_rescan_remove();
	return 0;
}

/* Slots live as long as the kernel: so does the module. */
static int add_slot(const char *place, unsigned int index)
{
	struct slot *slot = kzalloc(sizeof(*slot), GFP_KERNEL);
	int ret;

	if (!slot)
		return -ENOMEM;
	slot->vfs = kvcalloc(BOARD_VFS, sizeof(*slot->vfs), GFP_KERNEL);
	ret = slot->vfs ? parse_place(place, slot) : -ENOMEM;
	if (!ret) {
		slot_fill_config(slot);
		ret = scan_bus(slot, index);
	}
	if (ret) {
		kvfree(slot->vfs);
		kfree(slot);
	}
	return ret;
}

static int __init test_pci_init(void)
{
	unsigned int i;
	int ret = test_iommu_register();

	if (ret)
		return ret;
	__module_get(THIS_MODULE);
	for (i = 0; i < gpu_count; i++) {
		ret = add_slot(gpus[i], i);
		if (ret)
			pr_err("no GPU at %s: %pe\n", gpus[i], ERR_PTR(ret));
	}
	return 0;
}
module_init(test_pci_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("PCI buses with GPUs that are made of memory");
