// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vendor-specific VFIO framework: each virtual function is a VFIO device, and what it is
 * is written to its nvidia/current_vgpu_type.
 */
#include <linux/module.h>
#include <linux/vfio_pci_core.h>

#include "vgpu.h"

struct vendor_function {
	struct vfio_pci_core_device core; /* first: VFIO's core finds it as our driver data */
	struct gpu *gpu;
	const struct vgpu_type *vgpu; /* NULL: no type is set */
	bool is_open;
	char params[VGPU_PARAMS_MAX];
};

static struct vendor_function *to_function(struct vfio_device *vfio)
{
	return container_of(vfio, struct vendor_function, core.vdev);
}

static struct vendor_function *function_of(struct device *device)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(device);

	return container_of(core, struct vendor_function, core);
}

static int function_open(struct vfio_device *vfio)
{
	struct vendor_function *function = to_function(vfio);
	int ret = 0;

	mutex_lock(&function->gpu->lock);
	if (!function->vgpu)
		ret = -ENODEV;
	else
		function->is_open = true;
	mutex_unlock(&function->gpu->lock);
	if (ret)
		return ret;
	ret = vfio_pci_core_enable(&function->core);
	if (ret)
		function->is_open = false;
	else
		vfio_pci_core_finish_enable(&function->core);
	return ret;
}

static void function_close(struct vfio_device *vfio)
{
	struct vendor_function *function = to_function(vfio);

	vfio_pci_core_close_device(vfio);
	mutex_lock(&function->gpu->lock);
	function->is_open = false;
	mutex_unlock(&function->gpu->lock);
}

static const struct vfio_device_ops function_ops = {
	.name = "nvidia-vgpu-vfio",
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.open_device = function_open,
	.close_device = function_close,
	.ioctl = vfio_pci_core_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = vfio_pci_core_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
};

/* Only types that fit now are listed; a function that has one lists none. */
static ssize_t creatable_vgpu_types_show(struct device *device, struct device_attribute *attribute,
					 char *buffer)
{
	struct vendor_function *function = function_of(device);
	int length = sysfs_emit(buffer, "ID    : vGPU Name\n");
	unsigned int i;

	mutex_lock(&function->gpu->lock);
	for (i = 0; i < vgpu_type_count && !function->vgpu; i++)
		if (gpu_available(function->gpu, &vgpu_types[i]))
			length += sysfs_emit_at(buffer, length, "%-5u : %s\n", vgpu_types[i].id,
						vgpu_types[i].name);
	mutex_unlock(&function->gpu->lock);
	return length;
}
static DEVICE_ATTR_RO(creatable_vgpu_types);

static ssize_t current_vgpu_type_show(struct device *device, struct device_attribute *attribute,
				      char *buffer)
{
	struct vendor_function *function = function_of(device);
	unsigned int id;

	mutex_lock(&function->gpu->lock);
	id = function->vgpu ? function->vgpu->id : 0;
	mutex_unlock(&function->gpu->lock);
	return sysfs_emit(buffer, "%u\n", id);
}

static int clear_type(struct vendor_function *function)
{
	const struct vgpu_type *type;
	bool is_open;

	mutex_lock(&function->gpu->lock);
	type = function->vgpu;
	is_open = function->is_open;
	mutex_unlock(&function->gpu->lock);
	if (!type || is_open)
		return -EPERM;
	if (fault_refuses_clear(function->gpu))
		return -EBUSY;
	gpu_give(function->gpu, &function->vgpu, type);
	function->params[0] = '\0';
	return 0;
}

static int set_type(struct vendor_function *function, unsigned int id)
{
	unsigned int i;

	if (function->vgpu)
		return -EPERM;
	for (i = 0; i < vgpu_type_count; i++)
		if (vgpu_types[i].id == id)
			return gpu_take(function->gpu, &function->vgpu, &vgpu_types[i]);
	return -EIO;
}

/* The kernel lets one write to this file of a device in at a time. */
static ssize_t current_vgpu_type_store(struct device *device, struct device_attribute *attribute,
				       const char *buffer, size_t count)
{
	struct vendor_function *function = function_of(device);
	unsigned int id;
	int ret = kstrtouint(buffer, 10, &id);

	if (!ret)
		ret = id ? set_type(function, id) : clear_type(function);
	return ret ?: count;
}
static DEVICE_ATTR_RW(current_vgpu_type);

static ssize_t vgpu_params_show(struct device *device, struct device_attribute *attribute,
				char *buffer)
{
	const struct vendor_function *function = function_of(device);

	return function->vgpu ? sysfs_emit(buffer, "%s\n", function->params) : -ENXIO;
}

static ssize_t vgpu_params_store(struct device *device, struct device_attribute *attribute,
				 const char *buffer, size_t count)
{
	struct vendor_function *function = function_of(device);

	if (!function->vgpu)
		return -ENXIO;
	if (function->is_open)
		return -EPERM;
	if (strscpy(function->params, buffer, sizeof(function->params)) < 0)
		return -E2BIG;
	strim(function->params);
	return count;
}
static DEVICE_ATTR_RW(vgpu_params);

static struct attribute *vendor_attributes[] = {
	&dev_attr_creatable_vgpu_types.attr,
	&dev_attr_current_vgpu_type.attr,
	&dev_attr_vgpu_params.attr,
	NULL,
};

static umode_t vendor_is_visible(struct kobject *kobject, struct attribute *attribute, int index)
{
	struct pci_dev *function = to_pci_dev(kobj_to_dev(kobject));

	return function->is_virtfn && gpu_framework(pci_physfn(function)) == FRAMEWORK_VENDOR
		       ? attribute->mode
		       : 0;
}

const struct attribute_group vendor_group = {
	.name = "nvidia",
	.attrs = vendor_attributes,
	.is_visible = vendor_is_visible,
};

int vendor_function_add(struct pci_dev *pci, struct gpu *gpu)
{
	struct vendor_function *function =
		vfio_alloc_device(vendor_function, core.vdev, &pci->dev, &function_ops);
	int ret;

	if (IS_ERR(function))
		return PTR_ERR(function);
	function->gpu = gpu;
	dev_set_drvdata(&pci->dev, &function->core);
	ret = vfio_pci_core_register_device(&function->core);
	if (ret)
		vfio_put_device(&function->core.vdev);
	return ret;
}

void vendor_function_remove(struct pci_dev *pci)
{
	struct vendor_function *function = function_of(&pci->dev);

	vfio_pci_core_unregister_device(&function->core);
	if (function->vgpu)
		gpu_give(function->gpu, &function->vgpu, function->vgpu);
	vfio_put_device(&function->core.vdev);
}
