/* SPDX-License-Identifier: Apache-2.0 */
#include "pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pci_read_identity(const struct tree *sysfs, struct pci_addr address, struct pci_identity *ret)
{
	int64_t vendor, device, class_code;
	int r = tree_read_number(sysfs, &vendor, PCI "/vendor", PCI_STR(address));

	if (r == 0)
		r = tree_read_number(sysfs, &device, PCI "/device", PCI_STR(address));
	if (r == 0)
		r = tree_read_number(sysfs, &class_code, PCI "/class", PCI_STR(address));
	if (r == 0)
		*ret = (struct pci_identity){ (uint16_t)vendor, (uint16_t)device,
					      (uint32_t)class_code };
	return r;
}

int pci_read_driver(const struct tree *sysfs, struct pci_addr address,
		    char driver[static OPS_DRIVER_MAX])
{
	int r = tree_read_link_name(sysfs, driver, OPS_DRIVER_MAX, PCI "/driver", PCI_STR(address));

	if (r >= 0)
		return 0;
	driver[0] = '\0';
	if (r != -ENOENT)
		return r;
	r = tree_exists(sysfs, PCI, PCI_STR(address));
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int pci_read_group(const struct tree *sysfs, const char *path, uint32_t *ret)
{
	char name[16], *end;
	unsigned long group;
	int r = tree_read_link_name(sysfs, name, sizeof(name), PCI "/iommu_group", path);

	if (r == -ENOENT) {
		*ret = OPS_NO_GROUP;
		return 0;
	}
	if (r < 0)
		return r;
	group = strtoul(name, &end, 10);
	if (end == name || *end || group >= OPS_NO_GROUP)
		return -EINVAL;
	*ret = (uint32_t)group;
	return 0;
}

int pci_read_physical(const struct tree *sysfs, struct pci_addr address, struct pci_addr *ret)
{
	char name[sizeof(struct pci_addr_text)];
	int r = tree_read_link_name(sysfs, name, sizeof(name), PCI "/physfn", PCI_STR(address));

	if (r == -ENOENT) {
		*ret = address;
		return 0;
	}
	return r < 0 ? r : pci_addr_parse(name, ret);
}

bool pci_is_vfio_driver(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

/* By the driver's name, so that another one that took it meanwhile is not asked. */
static int unbind_from(const struct tree *sysfs, struct pci_addr address, const char *driver)
{
	return tree_write(sysfs, PCI_STR(address), "bus/pci/drivers/%s/unbind", driver);
}

int pci_unbind(const struct tree *sysfs, struct pci_addr address)
{
	char driver[OPS_DRIVER_MAX];
	int r = pci_read_driver(sysfs, address, driver);

	return r < 0 || driver[0] == '\0' ? r : unbind_from(sysfs, address, driver);
}

/* drivers_probe succeeds also when no driver was found, so the link decides. */
int pci_steer(const struct tree *sysfs, struct pci_addr address, const char *driver)
{
	char now[OPS_DRIVER_MAX];
	int r = pci_read_driver(sysfs, address, now);

	if (r < 0 || strcmp(now, driver) == 0)
		return r;
	r = tree_write(sysfs, driver, PCI "/driver_override", PCI_STR(address));
	if (r == 0 && now[0] != '\0')
		r = unbind_from(sysfs, address, now);
	if (r == 0)
		r = tree_write(sysfs, PCI_STR(address), "bus/pci/drivers_probe");
	if (r == 0)
		r = pci_read_driver(sysfs, address, now);
	if (r == 0 && strcmp(now, driver) != 0)
		r = -ENODEV;
	return r;
}

int pci_clear_override(const struct tree *sysfs, struct pci_addr address)
{
	return tree_write(sysfs, "\n", PCI "/driver_override", PCI_STR(address));
}

int pci_read_override(const struct tree *sysfs, struct pci_addr address,
		      char driver[static OPS_DRIVER_MAX])
{
	int r = tree_read(sysfs, driver, OPS_DRIVER_MAX, PCI "/driver_override", PCI_STR(address));

	if (r < 0)
		return r;
	if (strcmp(driver, "(null)") == 0)
		driver[0] = '\0';
	return 0;
}
