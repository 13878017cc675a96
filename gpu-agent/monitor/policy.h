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

#define POLICY_RANGES_MAX  64
#define POLICY_VENDORS_MAX 16

struct policy_range {
	uint32_t first, last;
};

struct policy {
	size_t range_count;
	struct policy_range grant_gids[POLICY_RANGES_MAX];
	size_t vendor_count;
	uint16_t vendors[POLICY_VENDORS_MAX];
};

/* grant_gids: "FIRST-LAST", group 0 never; vendors: four hex digits. */
int policy_parse(const struct config_list *grant_gids, const struct config_list *vendors,
		 struct policy *ret, struct err *err);

bool policy_may_grant(const struct policy *policy, uint32_t gid);

/* A display controller (PCI base class 3) of a vendor that is listed. */
bool policy_may_touch(const struct policy *policy, uint16_t vendor, uint32_t class_code);

#endif
