/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "id_text.h"

#define CLASS_DISPLAY 0x03

static int parse_range(const char *text, struct policy_range *ret, struct err *err)
{
	struct policy_range range;
	const char *rest;

	if (id_text_parse(text, '-', &range.first, &rest) < 0 ||
	    id_text_parse(rest, '\0', &range.last, &rest) < 0 || range.first > range.last)
		return err_field(err, "grant-gids",
				 "grant-gids is '%s', must be FIRST-LAST, two group ids from 1 to "
				 "4294967294",
				 text);
	*ret = range;
	return 0;
}

static int parse_vendor(const char *text, uint16_t *ret, struct err *err)
{
	if (strlen(text) != 4 || strspn(text, "0123456789abcdefABCDEF") != 4)
		return err_field(
			err, "device-vendor",
			"device-vendor is '%s', must be four hex digits of a PCI vendor, as 10de",
			text);
	*ret = (uint16_t)strtoul(text, NULL, 16);
	return 0;
}

int policy_parse(const struct config_list *grant_gids, const struct config_list *vendors,
		 struct policy *ret, struct err *err)
{
	struct policy policy = { 0 };

	if (grant_gids->count > POLICY_RANGES_MAX)
		return err_field(err, "grant-gids", "grant-gids has %zu ranges, at most %d fit",
				 grant_gids->count, POLICY_RANGES_MAX);
	if (vendors->count > POLICY_VENDORS_MAX)
		return err_field(err, "device-vendor",
				 "device-vendor has %zu entries, at most %d fit", vendors->count,
				 POLICY_VENDORS_MAX);
	for (size_t i = 0; i < grant_gids->count; i++)
		if (parse_range(grant_gids->values[i], &policy.grant_gids[policy.range_count++],
				err) < 0)
			return -1;
	for (size_t i = 0; i < vendors->count; i++)
		if (parse_vendor(vendors->values[i], &policy.vendors[policy.vendor_count++], err) <
		    0)
			return -1;
	*ret = policy;
	return 0;
}

bool policy_may_grant(const struct policy *policy, uint32_t gid)
{
	for (size_t i = 0; i < policy->range_count; i++)
		if (gid >= policy->grant_gids[i].first && gid <= policy->grant_gids[i].last)
			return true;
	return false;
}

int policy_add_classes(struct policy *policy, const struct config_list *classes, struct err *err)
{
	if (classes->count > POLICY_CLASSES_MAX)
		return err_field(err, "device-class",
				 "device-class has %zu entries, at most %d fit", classes->count,
				 POLICY_CLASSES_MAX);
	for (size_t i = 0; i < classes->count; i++) {
		const char *text = classes->values[i];

		if (strcmp(text, "03") != 0 && strcmp(text, "12") != 0)
			return err_field(
				err, "device-class",
				"device-class is '%s', must be 03 (display controllers) or "
				"12 (processing accelerators)",
				text);
		policy->classes[policy->class_count++] = (uint8_t)strtoul(text, NULL, 16);
	}
	return 0;
}

int policy_add_addresses(struct policy *policy, const struct config_list *addresses,
			 struct err *err)
{
	if (addresses->count > POLICY_ADDRESSES_MAX)
		return err_field(err, "device-address",
				 "device-address has %zu entries, at most %d fit", addresses->count,
				 POLICY_ADDRESSES_MAX);
	for (size_t i = 0; i < addresses->count; i++) {
		const char *text = addresses->values[i];
		struct policy_address *item = &policy->addresses[i];

		item->denied = text[0] == '!';
		if (pci_addr_parse(text + item->denied, &item->address) < 0)
			return err_field(err, "device-address",
					 "device-address is '%s', must be a PCI address as "
					 "0000:41:00.0, after ! to keep it from being touched",
					 text);
	}
	policy->address_count = addresses->count;
	return 0;
}

bool policy_is_gpu(const struct policy *policy, uint32_t class_code)
{
	if (policy->class_count == 0)
		return class_code >> 16 == CLASS_DISPLAY;
	for (size_t i = 0; i < policy->class_count; i++)
		if (class_code >> 16 == policy->classes[i])
			return true;
	return false;
}

bool policy_may_touch(const struct policy *policy, uint16_t vendor, uint32_t class_code)
{
	if (!policy_is_gpu(policy, class_code))
		return false;
	for (size_t i = 0; i < policy->vendor_count; i++)
		if (policy->vendors[i] == vendor)
			return true;
	return false;
}

bool policy_may_touch_address(const struct policy *policy, struct pci_addr gpu)
{
	bool has_allowed = false, allowed = false;

	for (size_t i = 0; i < policy->address_count; i++) {
		const struct policy_address *item = &policy->addresses[i];
		bool same = pci_addr_compare(item->address, gpu) == 0;

		if (same && item->denied)
			return false;
		has_allowed |= !item->denied;
		allowed |= same;
	}
	return allowed || !has_allowed;
}
