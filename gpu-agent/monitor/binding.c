/* SPDX-License-Identifier: Apache-2.0 */
#include "binding.h"

#include <errno.h>
#include <string.h>

#include "pci.h"

struct pci_addr binding_address(const struct journal_entry *entry, int function)
{
	struct pci_addr address = entry->parent;

	address.function = (uint8_t)function;
	return address;
}

/* What it has while it is bound: one that an administrator bound keeps its VFIO driver. */
static const char *bound_driver(const struct journal_function *function)
{
	return pci_is_vfio_driver(function->driver) ? function->driver : PCI_VFIO;
}

int binding_state(const struct host *host, const struct journal_entry *entry)
{
	enum binding_state state = BINDING_BOUND;

	for (int i = 0; i < JOURNAL_FUNCTIONS; i++) {
		char driver[OPS_DRIVER_MAX];
		int r;

		if (!entry->functions[i].moved)
			continue;
		r = pci_read_driver(&host->sysfs, binding_address(entry, i), driver);
		if (r == -ENOENT && i == entry->parent.function)
			return BINDING_GONE;
		if (r < 0 && r != -ENOENT)
			return r;
		if (r < 0 || strcmp(driver, bound_driver(&entry->functions[i])) != 0)
			state = BINDING_HALF;
	}
	return state;
}

int binding_move(const struct host *host, const struct journal_entry *entry,
		 struct pci_addr *ret_failed)
{
	for (int i = 0; i < JOURNAL_FUNCTIONS; i++) {
		const struct journal_function *function = &entry->functions[i];
		int r;

		if (!function->moved || pci_is_vfio_driver(function->driver))
			continue;
		*ret_failed = binding_address(entry, i);
		r = pci_steer(&host->sysfs, *ret_failed, PCI_VFIO);
		if (r < 0)
			return r;
	}
	return 0;
}

int binding_release(const struct host *host, const struct journal_entry *entry,
		    struct pci_addr *ret_failed)
{
	for (int i = 0; i < JOURNAL_FUNCTIONS; i++) {
		const struct journal_function *function = &entry->functions[i];
		char driver[OPS_DRIVER_MAX];
		int r;

		if (!function->moved || pci_is_vfio_driver(function->driver))
			continue;
		*ret_failed = binding_address(entry, i);
		r = pci_read_driver(&host->sysfs, *ret_failed, driver);
		if (r == 0 && strcmp(driver, PCI_VFIO) == 0)
			r = pci_unbind(&host->sysfs, *ret_failed);
		if (r < 0 && r != -ENOENT) /* gone from the host */
			return r;
	}
	return 0;
}

/* Original drivers are steered to, or else the kernel might prefer another one. */
static int give_back_one(const struct tree *sysfs, struct pci_addr address, const char *original)
{
	char now[OPS_DRIVER_MAX];
	int r = pci_read_driver(sysfs, address, now), cleared;

	if (r < 0)
		return r == -ENOENT ? 0 : r; /* gone from the host */
	if (strcmp(now, original) != 0 && now[0] != '\0' && strcmp(now, PCI_VFIO) != 0)
		return 0; /* somebody else's choice */
	if (original[0] != '\0')
		r = pci_steer(sysfs, address, original);
	else
		r = pci_unbind(sysfs, address);
	cleared = pci_clear_override(sysfs, address);
	return r < 0 ? r : cleared;
}

int binding_give_back(const struct host *host, const struct journal_entry *entry,
		      struct pci_addr *ret_failed)
{
	int first = 0;

	for (int i = JOURNAL_FUNCTIONS - 1; i >= 0; i--) {
		const struct journal_function *function = &entry->functions[i];
		int r;

		if (!function->moved || pci_is_vfio_driver(function->driver))
			continue;
		r = give_back_one(&host->sysfs, binding_address(entry, i), function->driver);
		if (r < 0 && first == 0) {
			first = r;
			*ret_failed = binding_address(entry, i);
		}
	}
	return first;
}

int binding_is_undone(const struct host *host, const struct journal_entry *entry)
{
	for (int i = 0; i < JOURNAL_FUNCTIONS; i++) {
		const struct journal_function *function = &entry->functions[i];
		char text[OPS_DRIVER_MAX];
		int r;

		if (!function->moved || pci_is_vfio_driver(function->driver))
			continue;
		r = pci_read_driver(&host->sysfs, binding_address(entry, i), text);
		if (r < 0)
			return r == -ENOENT ? 1 : r;
		if (strcmp(text, function->driver) != 0)
			return 0; /* in transition, maybe: its override is not read */
		r = pci_read_override(&host->sysfs, binding_address(entry, i), text);
		if (r < 0 || text[0] != '\0')
			return r;
	}
	return 1;
}
