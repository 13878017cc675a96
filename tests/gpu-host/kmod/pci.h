/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI bus made of memory: what enumeration, SR-IOV, IOMMU groups, vfio-pci and lspci look
 * at is there; behind the BARs is nothing, and there are no interrupts.
 */
#ifndef TEST_PCI_H
#define TEST_PCI_H

#include <linux/pci.h>
#include <linux/types.h>

/* Where virtual functions begin on the bus, as on an L40S: 00.4 to 04.3. */
#define VF_OFFSET 4

/* Configuration space, and which of its bits a write changes. */
struct config {
	u8 value[PCI_CFG_SPACE_EXP_SIZE];
	u8 writable[PCI_CFG_SPACE_EXP_SIZE];
};

/* One root bus with one GPU on it. */
struct slot {
	struct pci_sysdata sysdata; /* how the PCI core hands the slot back to us */
	struct pci_bus *bus;
	unsigned int number; /* of the bus */
	struct resource bus_range, window;
	struct config gpu, audio;
	struct config *vfs; /* BOARD_VFS of them */
};

extern struct pci_ops slot_config_ops;

void slot_fill_config(struct slot *slot);

/* An IOMMU that remembers what is mapped, and does nothing else with it. */
int test_iommu_register(void);

static inline struct slot *slot_of_bus(const struct pci_bus *bus)
{
	return container_of((struct pci_sysdata *)bus->sysdata, struct slot, sysdata);
}

#endif
