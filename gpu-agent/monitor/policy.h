/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What root's configuration lets a worker touch, whoever asks. Filled once at start, then
 * only read; workers inherit a copy.
 */

#ifndef GPU_AGENT_MONITOR_POLICY_H
#define GPU_AGENT_MONITOR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/err.h"
#include "common/pci_addr.h"

#define POLICY_RANGES_MAX    64
#define POLICY_VENDORS_MAX   16
#define POLICY_CLASSES_MAX   2
#define POLICY_ADDRESSES_MAX 64

struct policy_range {
	uint32_t first, last;
};

struct policy_address {
	struct pci_addr address;
	bool denied;
};

struct policy {
	size_t range_count;
	struct policy_range grant_gids[POLICY_RANGES_MAX];
	size_t vendor_count;
	uint16_t vendors[POLICY_VENDORS_MAX];
	size_t class_count; /* 0: display controllers */
	uint8_t classes[POLICY_CLASSES_MAX];
	size_t address_count;
	struct policy_address addresses[POLICY_ADDRESSES_MAX];
	bool allow_boot_display; /* may be bound to vfio-pci */
	bool allow_bound;	 /* so may be used what an administrator bound to a VFIO driver */
};

/* grant_gids: "FIRST-LAST", group 0 never; vendors: four hex digits. */
int policy_parse(const struct config_list *grant_gids, const struct config_list *vendors,
		 struct policy *ret, struct err *err);

/*
 * To a policy that was parsed. classes: "03" and "12" (processing accelerators); addresses:
 * those of physical functions, "0000:41:00.0" or "!0000:41:00.0"; with any of the first form
 * only these may be touched, one of the second never.
 */
int policy_add_classes(struct policy *policy, const struct config_list *classes, struct err *err);
int policy_add_addresses(struct policy *policy, const struct config_list *addresses,
			 struct err *err);

bool policy_may_grant(const struct policy *policy, uint32_t gid);

/* A display controller (PCI base class 3), or what else is listed. */
bool policy_is_gpu(const struct policy *policy, uint32_t class_code);

/* One of a vendor that is listed. */
bool policy_may_touch(const struct policy *policy, uint16_t vendor, uint32_t class_code);

/* gpu: the physical function, also for what is below it. */
bool policy_may_touch_address(const struct policy *policy, struct pci_addr gpu);

#endif
