/* SPDX-License-Identifier: Apache-2.0 */
#include "mdev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "pci.h"

#define PARENT_UUID "bus/pci/devices/%s/%s"

int mdev_read(const struct tree *sysfs, struct pci_addr parent, const char *uuid,
	      struct op_mdev *ret)
{
	char path[DEVICE_PATH_MAX];
	int there, listed, r;

	memset(ret, 0, sizeof(*ret)); /* it crosses to another process: no stray bytes */
	there = tree_exists(sysfs, PARENT_UUID, PCI_STR(parent), uuid);
	if (there <= 0)
		return there;
	listed = tree_exists(sysfs, "bus/mdev/devices/%s", uuid);
	if (listed < 0)
		return listed;
	snprintf(ret->uuid, sizeof(ret->uuid), "%s", uuid);
	ret->parent = parent;
	ret->half_removed = !listed;
	snprintf(path, sizeof(path), "%s/%s", PCI_STR(parent), uuid);
	r = pci_read_group(sysfs, path, &ret->iommu_group);
	if (r < 0)
		return r;
	r = tree_read_link_name(sysfs, ret->type, sizeof(ret->type), PARENT_UUID "/mdev_type",
				PCI_STR(parent), uuid);
	if (r < 0 && r != -ENOENT) /* a half removed device has no type any more */
		return r;
	return 1;
}

/* "../../../devices/pci0000:40/0000:41:00.4/UUID": the parent is the last but one. */
static int parse_parent(char *link, struct pci_addr *ret)
{
	char *slash = strrchr(link, '/');
	char *parent;

	if (!slash)
		return -ENOTSUP;
	*slash = '\0';
	parent = strrchr(link, '/');
	return pci_addr_parse(parent ? parent + 1 : link, ret) < 0 ? -ENOTSUP : 0;
}

int mdev_find(const struct tree *sysfs, const char *uuid, struct pci_addr hint, struct op_mdev *ret)
{
	char link[TREE_PATH_MAX];
	struct pci_addr parent = hint;
	int r = tree_read_link(sysfs, link, sizeof(link), "bus/mdev/devices/%s", uuid);

	if (r >= 0)
		r = parse_parent(link, &parent);
	if (r < 0 && r != -ENOENT)
		return r;
	return mdev_read(sysfs, parent, uuid, ret);
}
