/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI addresses.
 *
 * A pci_addr is a plain value that is valid by construction: text becomes one only in
 * pci_addr_parse(). Code past a process boundary takes a pci_addr, never a string, so
 * no path can be built from unchecked text. A domain may have more than four hex
 * digits (VMD: 10000:e1:00.0).
 */

#ifndef COMMON_PCI_ADDR_H
#define COMMON_PCI_ADDR_H

#include <stdbool.h>
#include <stdint.h>

struct pci_addr {
	uint32_t domain;
	uint8_t bus;
	uint8_t slot;	  /* at most 0x1f */
	uint8_t function; /* at most 7 */
};

struct pci_addr_text {
	char s[sizeof("ffffffff:ff:1f.7")];
};

/* Reads the form sysfs uses, "0000:41:00.0", and no other. 0, or -EINVAL with *ret untouched. */
int pci_addr_parse(const char *text, struct pci_addr *ret);

/* By value: no buffer to size, nothing to free. */
struct pci_addr_text pci_addr_text(struct pci_addr addr);

/* Orders by domain, bus, slot, function: negative, 0 or positive. */
int pci_addr_compare(struct pci_addr a, struct pci_addr b);

#define PCI_STR(addr) (pci_addr_text(addr).s)

#endif
