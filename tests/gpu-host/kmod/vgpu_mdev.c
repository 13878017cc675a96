// SPDX-License-Identifier: GPL-2.0-only
/* The mdev framework: a type directory for each type, a device for each UUID. */
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "vgpu.h"
#include "vgpu_region.h"

struct parent;

/* A type as one parent offers it. */
struct offer {
	struct mdev_type base;
	const struct vgpu_type *type;
	struct parent *parent;
	char id[16];
};

struct parent {
	struct mdev_parent base;
	struct gpu *gpu;
	const struct vgpu_type *vgpu; /* the one that lives on this virtual function */
	struct mdev_type **list;
	struct offer offers[]; /* vgpu_type_count */
};

struct vgpu {
	struct vfio_device vfio;
	const struct offer *offer;
	struct regions regions;
	bool is_open;
	char params[VGPU_PARAMS_MAX];
};

static struct vgpu *to_vgpu(struct vfio_device *vfio)
{
	return container_of(vfio, struct vgpu, vfio);
}

/* A GPU that is a parent itself has a budget, no slot. */
static const struct vgpu_type **slot_of(struct parent *parent)
{
	return parent->gpu->framework == FRAMEWORK_MDEV_PF ? NULL : &parent->vgpu;
}

static int vgpu_init(struct vfio_device *vfio)
{
	struct vgpu *vgpu = to_vgpu(vfio);
	const struct mdev_device *mdev = to_mdev_device(vfio->dev);
	const struct offer *offer = container_of(mdev->type, struct offer, base);
	int ret = regions_init(&vgpu->regions, offer->type->id);

	if (ret)
		return ret;
	ret = gpu_take(offer->parent->gpu, slot_of(offer->parent), offer->type);
	if (ret) {
		regions_free(&vgpu->regions);
		return ret;
	}
	vgpu->offer = offer;
	return 0;
}

static void vgpu_release(struct vfio_device *vfio)
{
	struct vgpu *vgpu = to_vgpu(vfio);
	const struct offer *offer = vgpu->offer;

	gpu_give(offer->parent->gpu, slot_of(offer->parent), offer->type);
	regions_free(&vgpu->regions);
	vfio_free_device(vfio);
}

static int vgpu_open(struct vfio_device *vfio)
{
	WRITE_ONCE(to_vgpu(vfio)->is_open, true);
	return 0;
}

static void vgpu_close(struct vfio_device *vfio)
{
	WRITE_ONCE(to_vgpu(vfio)->is_open, false);
}

static ssize_t vgpu_read(struct vfio_device *vfio, char __user *buffer, size_t count,
			 loff_t *position)
{
	return regions_read(&to_vgpu(vfio)->regions, buffer, count, position);
}

static ssize_t vgpu_write(struct vfio_device *vfio, const char __user *buffer, size_t count,
			  loff_t *position)
{
	return regions_write(&to_vgpu(vfio)->regions, buffer, count, position);
}

static long vgpu_ioctl(struct vfio_device *vfio, unsigned int command, unsigned long argument)
{
	return regions_ioctl(&to_vgpu(vfio)->regions, command, argument);
}

/* As NVIDIA's, it has no .request: a removal waits for the holder without telling anybody. */
static const struct vfio_device_ops vgpu_ops = {
	.name = "nvidia-vgpu-vfio",
	.init = vgpu_init,
	.release = vgpu_release,
	.open_device = vgpu_open,
	.close_device = vgpu_close,
	.read = vgpu_read,
	.write = vgpu_write,
	.ioctl = vgpu_ioctl,
};

static int vgpu_probe(struct mdev_device *mdev)
{
	struct vgpu *vgpu = vfio_alloc_device(vgpu, vfio, &mdev->dev, &vgpu_ops);
	int ret;

	if (IS_ERR(vgpu))
		return PTR_ERR(vgpu);
	ret = vfio_register_emulated_iommu_dev(&vgpu->vfio);
	if (ret) {
		vfio_put_device(&vgpu->vfio);
		return ret;
	}
	dev_set_drvdata(&mdev->dev, vgpu);
	return 0;
}

static void vgpu_remove(struct mdev_device *mdev)
{
	struct vgpu *vgpu = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&vgpu->vfio);
	vfio_put_device(&vgpu->vfio);
}

static unsigned int offer_available(struct mdev_type *base)
{
	const struct offer *offer = container_of(base, struct offer, base);
	const struct vgpu_type **slot = slot_of(offer->parent);
	struct gpu *gpu = offer->parent->gpu;
	unsigned int available;

	mutex_lock(&gpu->lock);
	available = slot && *slot ? 0 : gpu_available(gpu, offer->type);
	mutex_unlock(&gpu->lock);
	return slot ? min(available, 1U) : available;
}

static ssize_t offer_describe(struct mdev_type *base, char *buffer)
{
	const struct vgpu_type *type = container_of(base, struct offer, base)->type;

	return sysfs_emit(
		buffer,
		"num_heads=%u, frl_config=%u, framebuffer=%uM, max_resolution=%s, max_instance=%u\n",
		type->heads, type->frame_rate, type->framebuffer_mb, type->resolution,
		type->max_instance);
}

static ssize_t vgpu_params_show(struct device *device, struct device_attribute *attribute,
				char *buffer)
{
	return sysfs_emit(buffer, "%s\n", ((struct vgpu *)dev_get_drvdata(device))->params);
}

static ssize_t vgpu_params_store(struct device *device, struct device_attribute *attribute,
				 const char *buffer, size_t count)
{
	struct vgpu *vgpu = dev_get_drvdata(device);

	if (READ_ONCE(vgpu->is_open))
		return -EPERM;
	if (strscpy(vgpu->params, buffer, sizeof(vgpu->params)) < 0)
		return -E2BIG;
	strim(vgpu->params);
	return count;
}
static DEVICE_ATTR_RW(vgpu_params);

/* Empty unless a VM has it open. */
static ssize_t vm_name_show(struct device *device, struct device_attribute *attribute, char *buffer)
{
	const struct vgpu *vgpu = dev_get_drvdata(device);

	return sysfs_emit(buffer, "%s\n", READ_ONCE(vgpu->is_open) ? "vm" : "");
}
static DEVICE_ATTR_RO(vm_name);

static struct attribute *vgpu_attributes[] = {
	&dev_attr_vgpu_params.attr,
	&dev_attr_vm_name.attr,
	NULL,
};
static const struct attribute_group vgpu_group = { .name = "nvidia", .attrs = vgpu_attributes };
static const struct attribute_group *vgpu_groups[] = { &vgpu_group, NULL };

static struct mdev_driver vgpu_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.driver = {
		.name = "nvidia-vgpu-vfio",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
		.dev_groups = vgpu_groups,
	},
	.probe = vgpu_probe,
	.remove = vgpu_remove,
	.get_available = offer_available,
	.show_description = offer_describe,
};

int mdev_parent_add(struct pci_dev *function, struct gpu *gpu)
{
	struct parent *parent = kzalloc(struct_size(parent, offers, vgpu_type_count), GFP_KERNEL);
	unsigned int i;
	int ret;

	if (!parent)
		return -ENOMEM;
	parent->list = kcalloc(vgpu_type_count, sizeof(*parent->list), GFP_KERNEL);
	if (!parent->list) {
		kfree(parent);
		return -ENOMEM;
	}
	parent->gpu = gpu;
	for (i = 0; i < vgpu_type_count; i++) {
		struct offer *offer = &parent->offers[i];

		offer->type = &vgpu_types[i];
		offer->parent = parent;
		snprintf(offer->id, sizeof(offer->id), "%u", offer->type->id);
		offer->base.sysfs_name = offer->id;
		offer->base.pretty_name = offer->type->name;
		parent->list[i] = &offer->base;
	}
	pci_set_drvdata(function, parent);
	ret = mdev_register_parent(&parent->base, &function->dev, &vgpu_driver, parent->list,
				   vgpu_type_count);
	if (ret) {
		kfree(parent->list);
		kfree(parent);
	}
	return ret;
}

void mdev_parent_remove(struct pci_dev *function)
{
	struct parent *parent = pci_get_drvdata(function);

	mdev_unregister_parent(&parent->base);
	kfree(parent->list);
	kfree(parent);
}

int mdev_flavour_register(void)
{
	return mdev_register_driver(&vgpu_driver);
}

void mdev_flavour_unregister(void)
{
	mdev_unregister_driver(&vgpu_driver);
}
