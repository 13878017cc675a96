/* SPDX-License-Identifier: Apache-2.0 */
#include "pci_names.h"

#include <pci/pci.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static const struct {
	uint16_t vendor, device;
	const char *name;
} gpu_names[] = {
#define GPU_NAME(vendor, device, name) { vendor, device, name },
#include "gpu_names.def"
#undef GPU_NAME
};

struct pci_names {
	struct pci_access *access; /* owned */
};

/* libpci demands that this does not return. It only happens in a worker: that one ends. */
static void __attribute__((noreturn)) fail(char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, sizeof(text), format, args);
#pragma GCC diagnostic pop
	va_end(args);
	log_error("libpci: %s", text);
	_exit(1);
}

static void say_nothing(char *format, ...)
{
	(void)format;
}

struct pci_names *pci_names_new(void)
{
	struct pci_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->access = pci_alloc();
	names->access->error = fail;
	names->access->warning = say_nothing;
	names->access->debug = say_nothing;
	return names;
}

void pci_names_free(struct pci_names *names)
{
	if (names)
		pci_cleanup(names->access);
	free(names);
}

static int lookup(struct pci_names *names, char *buffer, size_t size, int what, uint16_t vendor,
		  uint16_t device)
{
	const char *found =
		pci_lookup_name(names->access, buffer, (int)size,
				what | PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB, vendor, device);

	if (!found)
		return -1;
	if (found != buffer)
		snprintf(buffer, size, "%s", found);
	return 0;
}

/* "AD104GL [L4]" is known as "L4": the last brackets hold the name on the box. */
static char *unbracket(char *text)
{
	char *open = strrchr(text, '[');
	char *close = open ? strchr(open, ']') : NULL;

	if (!close)
		return text;
	*close = '\0';
	return open + 1;
}

void pci_names_find(struct pci_names *names, uint16_t vendor, uint16_t device, char *buffer,
		    size_t size)
{
	char vendor_text[128], device_text[128];
	char *brand;

	for (size_t i = 0; i < sizeof(gpu_names) / sizeof(gpu_names[0]); i++) {
		if (gpu_names[i].vendor == vendor && gpu_names[i].device == device) {
			snprintf(buffer, size, "%s", gpu_names[i].name);
			return;
		}
	}
	if (!names ||
	    lookup(names, vendor_text, sizeof(vendor_text), PCI_LOOKUP_VENDOR, vendor, 0) < 0 ||
	    lookup(names, device_text, sizeof(device_text), PCI_LOOKUP_DEVICE, vendor, device) <
		    0) {
		snprintf(buffer, size, "%04x:%04x", vendor, device);
		return;
	}
	brand = unbracket(vendor_text);
	brand[strcspn(brand, " ")] = '\0'; /* "NVIDIA Corporation" */
	snprintf(buffer, size, "%s %s", brand, unbracket(device_text));
}
