/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sysfs says about one PCI function, and which driver has it.
 *
 * Links and identity are kept by the kernel itself and answer also while a driver hangs.
 * driver_override and sriov_numvfs take the device's lock and do not.
 */

#ifndef GPU_AGENT_MONITOR_PCI_H
#define GPU_AGENT_MONITOR_PCI_H

#include "gpu-agent/ops.h"
#include "tree.h"

#define PCI	 "bus/pci/devices/%s"
#define PCI_VFIO "vfio-pci" /* the driver that we bind to */

struct pci_identity {
	uint16_t vendor, device;
	uint32_t class_code;
};

/* Each returns 0 or -errno; -ENOENT: there is no such function. */
int pci_read_identity(const struct tree *sysfs, struct pci_addr address, struct pci_identity *ret);
/* Empty: none. */
int pci_read_driver(const struct tree *sysfs, struct pci_addr address,
		    char driver[static OPS_DRIVER_MAX]);
/* path: beneath bus/pci/devices. OPS_NO_GROUP: none. */
int pci_read_group(const struct tree *sysfs, const char *path, uint32_t *ret);
/* The physical function that it belongs to: itself, unless it is a virtual one. */
int pci_read_physical(const struct tree *sysfs, struct pci_addr address, struct pci_addr *ret);

/* vfio-pci or one of its variants ("nvgrace_gpu_vfio_pci"), by name. */
bool pci_is_vfio_driver(const char *driver);

/*
 * Gives a function exactly this driver, by override: an override that was there is lost. 0; or
 * -errno of a write; or -ENODEV when the driver did not take it.
 */
int pci_steer(const struct tree *sysfs, struct pci_addr address, const char *driver);
/* Takes its driver away; one without stays so. */
int pci_unbind(const struct tree *sysfs, struct pci_addr address);
/* Takes any override away: the next probe is the kernel's own choice. */
int pci_clear_override(const struct tree *sysfs, struct pci_addr address);
/* Empty: none. Not for a device in transition: the read would wait with it. */
int pci_read_override(const struct tree *sysfs, struct pci_addr address,
		      char driver[static OPS_DRIVER_MAX]);

#endif
