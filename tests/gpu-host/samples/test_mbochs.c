// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's sample mbochs, as it is, with one difference: its parent is the bochs-display of
 * the test host, a PCI function as every GPU is, and not a device without a bus.
 */
#include <linux/mdev.h>
#include <linux/pci.h>

#define DISPLAY_VENDOR 0x1234
#define DISPLAY_DEVICE 0x1111

static struct device *display_or(struct device *other)
{
	struct pci_dev *display = pci_get_device(DISPLAY_VENDOR, DISPLAY_DEVICE, NULL);

	return display ? &display->dev : other;
}

#define mdev_register_parent(parent, device, ...)                                                  \
	mdev_register_parent(parent, display_or(device), __VA_ARGS__)

#include "mbochs.c"
