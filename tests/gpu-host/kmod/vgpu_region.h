/* SPDX-License-Identifier: GPL-2.0-only */
/* What a guest sees of an mdev: PCI configuration space and one memory region. */
#ifndef TEST_VGPU_REGION_H
#define TEST_VGPU_REGION_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/types.h>

struct vfio_device;

#define REGION_MEMORY_SIZE 0x10000

struct regions {
	struct mutex lock;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 *memory; /* REGION_MEMORY_SIZE bytes */
};

/* 0 or -ENOMEM. */
int regions_init(struct regions *regions, u16 subsystem_device);
void regions_free(struct regions *regions);

/* As vfio_device_ops say. */
ssize_t regions_read(struct regions *regions, char __user *buffer, size_t count, loff_t *position);
ssize_t regions_write(struct regions *regions, const char __user *buffer, size_t count,
		      loff_t *position);
long regions_ioctl(struct regions *regions, unsigned int command, unsigned long argument);

#endif
