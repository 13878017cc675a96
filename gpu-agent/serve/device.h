/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registered devices, without the wire: PCI functions with a name by which instances can
 * ask for them. A registration survives restarts, and the function's absence.
 */

#ifndef GPU_AGENT_SERVE_DEVICE_H
#define GPU_AGENT_SERVE_DEVICE_H

#include "agent.h"

/* A registered device as it is now. A plain value. */
struct device_state {
	struct device device;
	uint32_t iommu_group; /* OPS_NO_GROUP */
	bool bound_to_vfio;
	bool attached;
	char attached_to[ALLOCATION_OWNER_MAX];
};

/* 0, or INVALID_ARGUMENT with what a name must look like. */
int device_check_name(const char *field, const char *name, struct err *err);

/* name empty: made from the address. */
int device_register(struct agent *agent, struct pci_addr address, const char *name,
		    struct device_state *ret, struct err *err);

/* Each by id, name, or a prefix of one id. */
int device_unregister(struct agent *agent, const char *key, struct err *err);
int device_get(struct agent *agent, const char *key, struct device_state *ret, struct err *err);

/* Borrowed until the lock is released; NULL with *err. */
struct device *device_find_locked(struct agent *agent, const char *key, struct err *err);

/*
 * Up to `max` devices, oldest first, after the first `skip`. Count or -ENOMEM; the caller
 * frees *ret.
 */
int device_list(struct agent *agent, size_t skip, size_t max, struct device_state **ret,
		bool *ret_more);

/* Functions that could be registered and bound now. Count, or -1; the caller frees *ret. */
int device_list_available(struct agent *agent, struct function **ret, struct err *err);

#endif
