// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PCI driver "nvidia". mdev=, mdev_pf= and vendor= name the GPUs of each framework by
 * their addresses; on every other GPU of the board it only sits, as on a host whose GPUs have
 * no virtual functions enabled.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>

#include "board.h"
#include "vgpu.h"

#define GPUS_MAX 16

static char *mdev[GPUS_MAX], *mdev_pf[GPUS_MAX], *vendor[GPUS_MAX];
static unsigned int mdev_count, mdev_pf_count, vendor_count;
module_param_array(mdev, charp, &mdev_count, 0444);
module_param_array(mdev_pf, charp, &mdev_pf_count, 0444);
module_param_array(vendor, charp, &vendor_count, 0444);

static LIST_HEAD(gpus);
static DEFINE_MUTEX(gpus_lock);

static bool is_listed(const struct pci_dev *function, char **list, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!strcmp(list[i], pci_name(function)))
			return true;
	return false;
}

enum framework gpu_framework(const struct pci_dev *physical)
{
	if (is_listed(physical, mdev, mdev_count))
		return FRAMEWORK_MDEV;
	if (is_listed(physical, mdev_pf, mdev_pf_count))
		return FRAMEWORK_MDEV_PF;
	if (is_listed(physical, vendor, vendor_count))
		return FRAMEWORK_VENDOR;
	return FRAMEWORK_NONE;
}

static struct gpu *gpu_find(const struct pci_dev *physical)
{
	struct gpu *gpu;

	list_for_each_entry(gpu, &gpus, list) if (gpu->physical == physical) return gpu;
	return NULL;
}

/* A GPU stays known while the module is loaded: its functions may come and go. */
static struct gpu *gpu_get(struct pci_dev *physical)
{
	struct gpu *gpu;

	mutex_lock(&gpus_lock);
	gpu = gpu_find(physical);
	if (!gpu) {
		gpu = kzalloc(sizeof(*gpu), GFP_KERNEL);
		if (gpu)
			gpu->type_counts =
				kcalloc(vgpu_type_count, sizeof(*gpu->type_counts), GFP_KERNEL);
		if (gpu && gpu->type_counts) {
			gpu->physical = physical;
			gpu->framework = gpu_framework(physical);
			mutex_init(&gpu->lock);
			list_add_tail(&gpu->list, &gpus);
		} else {
			kfree(gpu);
			gpu = NULL;
		}
	}
	mutex_unlock(&gpus_lock);
	return gpu;
}

static bool is_mdev_parent(const struct pci_dev *function, const struct gpu *gpu)
{
	return gpu->framework == (function->is_virtfn ? FRAMEWORK_MDEV : FRAMEWORK_MDEV_PF);
}

static int driver_probe(struct pci_dev *function, const struct pci_device_id *id)
{
	struct gpu *gpu;

	/* vfio-pci is welcome to the virtual functions of a GPU that makes no vGPUs. */
	gpu = gpu_get(pci_physfn(function));
	if (!gpu)
		return -ENOMEM;
	if (is_mdev_parent(function, gpu))
		return mdev_parent_add(function, gpu);
	if (!function->is_virtfn)
		return 0;
	return gpu->framework == FRAMEWORK_VENDOR ? vendor_function_add(function, gpu) : -ENODEV;
}

static void driver_remove(struct pci_dev *function)
{
	struct gpu *gpu = gpu_get(pci_physfn(function));

	if (!function->is_virtfn)
		pci_disable_sriov(function);
	if (is_mdev_parent(function, gpu))
		mdev_parent_remove(function);
	else if (function->is_virtfn)
		vendor_function_remove(function);
}

/* NVIDIA's takes no number here but has a script of its own: this stands in for that. */
static int driver_configure(struct pci_dev *physical, int count)
{
	int ret = 0;

	if (count)
		ret = pci_enable_sriov(physical, count);
	else
		pci_disable_sriov(physical);
	return ret ?: count;
}

static const struct pci_device_id driver_ids[] = {
	{ PCI_DEVICE(BOARD_VENDOR, BOARD_DEVICE) },
	{},
};
MODULE_DEVICE_TABLE(pci, driver_ids);

static const struct attribute_group *driver_groups[] = { &vendor_group, NULL };

static struct pci_driver driver = {
	.name = "nvidia",
	.id_table = driver_ids,
	.probe = driver_probe,
	.remove = driver_remove,
	.sriov_configure = driver_configure,
	.dev_groups = driver_groups,
	.driver_managed_dma = true,
};

static int __init test_vgpu_init(void)
{
	int ret = mdev_flavour_register();

	if (ret)
		return ret;
	ret = pci_register_driver(&driver);
	if (ret)
		mdev_flavour_unregister();
	return ret;
}

static void __exit test_vgpu_exit(void)
{
	struct gpu *gpu, *next;

	pci_unregister_driver(&driver);
	mdev_flavour_unregister();
	list_for_each_entry_safe(gpu, next, &gpus, list)
	{
		kfree(gpu->type_counts);
		kfree(gpu);
	}
}

module_init(test_vgpu_init);
module_exit(test_vgpu_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A driver that makes vGPUs as NVIDIA's does, without a GPU");
