// SPDX-License-Identifier: GPL-2.0-only
#include "vgpu_region.h"

#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>

#include "board.h"

#define MEMORY_OFFSET 0x100000 /* of the region in the device file */
#define STEP	      64

int regions_init(struct regions *regions, u16 subsystem_device)
{
	u8 *config = regions->config;

	regions->memory = vzalloc(REGION_MEMORY_SIZE);
	if (!regions->memory)
		return -ENOMEM;
	mutex_init(&regions->lock);
	*(__le16 *)&config[PCI_VENDOR_ID] = cpu_to_le16(BOARD_VENDOR);
	*(__le16 *)&config[PCI_DEVICE_ID] = cpu_to_le16(BOARD_DEVICE);
	*(__le16 *)&config[PCI_SUBSYSTEM_VENDOR_ID] = cpu_to_le16(BOARD_VENDOR);
	*(__le16 *)&config[PCI_SUBSYSTEM_ID] = cpu_to_le16(subsystem_device);
	*(__le16 *)&config[PCI_CLASS_DEVICE] = cpu_to_le16(PCI_CLASS_DISPLAY_VGA);
	config[PCI_CLASS_REVISION] = BOARD_REVISION;
	return 0;
}

void regions_free(struct regions *regions)
{
	vfree(regions->memory);
}

static void write_config(struct regions *regions, unsigned int offset, const u8 *bytes,
			 size_t count)
{
	u8 *config = regions->config;

	if (offset == PCI_BASE_ADDRESS_0 && count == 4)
		*(__le32 *)&config[offset] = cpu_to_le32(le32_to_cpu(*(const __le32 *)bytes) &
							 ~(REGION_MEMORY_SIZE - 1));
	else if (offset == PCI_COMMAND && count <= 2)
		memcpy(&config[offset], bytes, count);
	else if (offset == PCI_INTERRUPT_LINE && count == 1)
		config[offset] = *bytes;
}

/* Which bytes are meant; what lies outside of everything is NULL. *count is cut to the end. */
static u8 *find_bytes(struct regions *regions, loff_t position, size_t *count)
{
	u8 *base;
	size_t offset, size;

	if (position >= 0 && position < PCI_CFG_SPACE_SIZE) {
		base = regions->config;
		offset = position;
		size = PCI_CFG_SPACE_SIZE;
	} else if (position >= MEMORY_OFFSET && position < MEMORY_OFFSET + REGION_MEMORY_SIZE) {
		base = regions->memory;
		offset = position - MEMORY_OFFSET;
		size = REGION_MEMORY_SIZE;
	} else {
		return NULL;
	}
	*count = min(*count, size - offset);
	return base + offset;
}

ssize_t regions_read(struct regions *regions, char __user *buffer, size_t count, loff_t *position)
{
	size_t done = 0;

	while (done < count) {
		u8 copy[STEP];
		size_t step = min_t(size_t, count - done, STEP);
		const u8 *bytes = find_bytes(regions, *position, &step);

		if (!bytes)
			break;
		mutex_lock(&regions->lock);
		memcpy(copy, bytes, step);
		mutex_unlock(&regions->lock);
		if (copy_to_user(buffer + done, copy, step))
			return -EFAULT;
		done += step;
		*position += step;
	}
	return done ?: -EINVAL;
}

ssize_t regions_write(struct regions *regions, const char __user *buffer, size_t count,
		      loff_t *position)
{
	size_t done = 0;

	while (done < count) {
		u8 copy[STEP];
		size_t step = min_t(size_t, count - done, STEP);
		u8 *bytes = find_bytes(regions, *position, &step);

		if (!bytes)
			break;
		if (copy_from_user(copy, buffer + done, step))
			return -EFAULT;
		mutex_lock(&regions->lock);
		if (*position < PCI_CFG_SPACE_SIZE)
			write_config(regions, *position, copy, step);
		else
			memcpy(bytes, copy, step);
		mutex_unlock(&regions->lock);
		done += step;
		*position += step;
	}
	return done ?: -EINVAL;
}

static long get_device_info(void __user *user)
{
	const size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, user, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(user, &info, size) ? -EFAULT : 0;
}

static long get_region_info(void __user *user)
{
	const size_t size = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, user, size))
		return -EFAULT;
	if (info.argsz < size || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.flags = 0;
	info.size = 0;
	info.offset = 0;
	if (info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info.size = PCI_CFG_SPACE_SIZE;
	} else if (info.index == VFIO_PCI_BAR0_REGION_INDEX) {
		info.size = REGION_MEMORY_SIZE;
		info.offset = MEMORY_OFFSET;
	}
	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	return copy_to_user(user, &info, size) ? -EFAULT : 0;
}

static long get_irq_info(void __user *user)
{
	const size_t size = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, user, size))
		return -EFAULT;
	if (info.argsz < size || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.flags = 0;
	info.count = 0;
	return copy_to_user(user, &info, size) ? -EFAULT : 0;
}

long regions_ioctl(struct regions *regions, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;

	switch (command) {
	case VFIO_DEVICE_GET_INFO:
		return get_device_info(user);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(user);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(user);
	case VFIO_DEVICE_RESET:
		return 0;
	default:
		return -ENOTTY;
	}
}
