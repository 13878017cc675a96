/* SPDX-License-Identifier: Apache-2.0 */
#include "pci_addr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int pci_addr_parse(const char *text, struct pci_addr *ret)
{
	unsigned domain, bus, slot, function;
	struct pci_addr addr;

	if (strnlen(text, sizeof(struct pci_addr_text)) >= sizeof(struct pci_addr_text))
		return -EINVAL;
	if (sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return -EINVAL;
	if (bus > 0xff || slot > 0x1f || function > 7)
		return -EINVAL;
	addr = (struct pci_addr){ domain, (uint8_t)bus, (uint8_t)slot, (uint8_t)function };
	if (strcmp(text, PCI_STR(addr)) != 0)
		return -EINVAL; /* sscanf also takes signs, spaces and capitals */
	*ret = addr;
	return 0;
}

struct pci_addr_text pci_addr_text(struct pci_addr addr)
{
	struct pci_addr_text text;

	snprintf(text.s, sizeof(text.s), "%04" PRIx32 ":%02x:%02x.%u", addr.domain, addr.bus,
		 addr.slot & 0x1fu, addr.function & 7u);
	return text;
}

int pci_addr_compare(struct pci_addr a, struct pci_addr b)
{
	if (a.domain != b.domain)
		return a.domain < b.domain ? -1 : 1;
	if (a.bus != b.bus)
		return a.bus - b.bus;
	if (a.slot != b.slot)
		return a.slot - b.slot;
	return a.function - b.function;
}
