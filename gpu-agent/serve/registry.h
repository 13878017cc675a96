/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the database that people write: slots set aside by hand, or because creates failed
 * there, and PCI functions registered by name. All survive restarts. Same file and promises as
 * records.h; a change is rare, so its statement is prepared for it.
 */

#ifndef GPU_AGENT_SERVE_REGISTRY_H
#define GPU_AGENT_SERVE_REGISTRY_H

#include "records.h"

#define REGISTRY_REASON_MAX 129 /* with the NUL */
#define REGISTRY_NAME_MAX   64

/* A slot that is not offered until somebody says so. */
struct cordon {
	struct pci_addr slot;
	char reason[REGISTRY_REASON_MAX];
	int64_t since_ms; /* since 1970 */
};

enum device_type {
	DEVICE_GPU = 1, /* the numbers are in the database */
	DEVICE_PCI = 2,
};

/* A PCI function by which instances can ask for it. */
struct device {
	char id[OPS_UUID_SIZE];
	char name[REGISTRY_NAME_MAX];
	enum device_type type;
	struct pci_addr address;
	uint16_t vendor_id, device_id;
	int64_t create_time_ms; /* since 1970 */
	char reset_note[192];	/* how the last release left it; empty: nothing to say */
	bool leaving;		/* not in the database: it is just being unregistered */
};

/* By address, and by time. The caller frees *ret. Rows that make no sense are left out. */
int registry_load_cordons(struct records *records, struct cordon **ret, size_t *ret_count,
			  struct err *err);
int registry_load_quarantines(struct records *records, struct cordon **ret, size_t *ret_count,
			      struct err *err);
int registry_load_devices(struct records *records, struct device **ret, size_t *ret_count,
			  struct err *err);

/* Replaces the one of that slot. */
int registry_put_cordon(struct records *records, const struct cordon *cordon, struct err *err);
int registry_put_quarantine(struct records *records, const struct cordon *cordon, struct err *err);
int registry_remove_cordon(struct records *records, struct pci_addr slot, struct err *err);
int registry_remove_quarantine(struct records *records, struct pci_addr slot, struct err *err);

/* ABORTED when its name or address is there already: the caller has looked before. */
int registry_add_device(struct records *records, const struct device *device, struct err *err);
int registry_set_reset_note(struct records *records, const char *id, const char *note,
			    struct err *err);
int registry_remove_device(struct records *records, const char *id, struct err *err);

#endif
