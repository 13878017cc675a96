/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of GPUs for people: data-centre boards from gpu_names.def (pci.ids of Debian 12 knows
 * neither the L40S nor the H200), others from pci.ids, else "10de:26b9". libpci is used here
 * only, for its database: it never looks at a device.
 */

#ifndef GPU_AGENT_MONITOR_PCI_NAMES_H
#define GPU_AGENT_MONITOR_PCI_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct pci_names;

struct pci_names *pci_names_new(void);
void pci_names_free(struct pci_names *names);

/* Always fills buffer, cutting what does not fit. */
void pci_names_find(struct pci_names *names, uint16_t vendor, uint16_t device, char *buffer,
		    size_t size);

#endif
