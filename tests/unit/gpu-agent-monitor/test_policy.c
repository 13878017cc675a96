/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu-agent/monitor/policy.h"

#define LIST(...)                                                                                  \
	((struct config_list){                                                                     \
		.count = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *),                       \
		.values = (char *[]){ __VA_ARGS__ },                                               \
	})

static char nvidia[] = "10de", amd[] = "1002", gids[] = "200000-265535", one[] = "70-70";

static void only_listed_vendors_display_controllers_may_be_touched(void **state)
{
	struct config_list vendors = LIST(nvidia, amd), none = { 0 };
	struct policy policy;
	struct err err;

	(void)state;
	assert_int_equal(policy_parse(&none, &vendors, &policy, &err), 0);
	assert_true(policy_may_touch(&policy, 0x10de, 0x030200));
	assert_true(policy_may_touch(&policy, 0x1002, 0x030000));
	assert_false(policy_may_touch(&policy, 0x8086, 0x030000));
	assert_false(policy_may_touch(&policy, 0x10de, 0x040300)); /* its audio function */
	assert_false(policy_may_touch(&policy, 0x10de, 0x010203));
}

static void only_listed_groups_may_be_granted(void **state)
{
	struct config_list vendors = LIST(nvidia), ranges = LIST(gids, one);
	struct policy policy;
	struct err err;

	(void)state;
	assert_int_equal(policy_parse(&ranges, &vendors, &policy, &err), 0);
	assert_true(policy_may_grant(&policy, 200000));
	assert_true(policy_may_grant(&policy, 265535));
	assert_true(policy_may_grant(&policy, 70));
	assert_false(policy_may_grant(&policy, 199999));
	assert_false(policy_may_grant(&policy, 265536));
	assert_false(policy_may_grant(&policy, 0));
	assert_false(policy_may_grant(&policy, UINT32_MAX));
}

static void nothing_is_granted_without_ranges(void **state)
{
	struct config_list vendors = LIST(nvidia), none = { 0 };
	struct policy policy;
	struct err err;

	(void)state;
	assert_int_equal(policy_parse(&none, &vendors, &policy, &err), 0);
	for (uint32_t gid = 0; gid < 100000; gid += 7)
		assert_false(policy_may_grant(&policy, gid));
}

static void wrong_ranges_are_refused_with_the_value(void **state)
{
	static const char *const refused[] = {
		"",    "0-10",	"5",	"5-",	"-5",	"10-5", "1-4294967295",
		"a-b", "1-2-3", " 1-2", "1 -2", "+1-2", "1-+2", "99999999999999999999-1",
		"1-0", "1-2 ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct config_list vendors = LIST(nvidia);
		char *text = strdup(refused[i]);
		struct config_list ranges = LIST(text);
		struct policy policy;
		struct err err;

		assert_int_equal(policy_parse(&ranges, &vendors, &policy, &err), -1);
		assert_string_equal(err.field, "grant-gids");
		assert_non_null(strstr(err.message, refused[i]));
		free(text);
	}
}

static void wrong_vendors_are_refused(void **state)
{
	static const char *const refused[] = { "", "0x10de", "10d", "10dee", "10dg", " 10d" };

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char *text = strdup(refused[i]);
		struct config_list vendors = LIST(text), none = { 0 };
		struct policy policy;
		struct err err;

		assert_int_equal(policy_parse(&none, &vendors, &policy, &err), -1);
		assert_string_equal(err.field, "device-vendor");
		free(text);
	}
}

static void addresses_allow_and_deny(void **state)
{
	static char listed[] = "0000:41:00.0", denied[] = "!0000:61:00.0";
	struct config_list only = LIST(listed), never = LIST(denied), both = LIST(listed, denied);
	const struct pci_addr first = { 0, 0x41, 0, 0 }, second = { 0, 0x61, 0, 0 };
	const struct pci_addr third = { 0, 0xa1, 0, 0 };
	struct policy policy = { 0 };
	struct err err;

	(void)state;
	assert_true(policy_may_touch_address(&policy, first));
	assert_int_equal(policy_add_addresses(&policy, &only, &err), 0);
	assert_true(policy_may_touch_address(&policy, first));
	assert_false(policy_may_touch_address(&policy, second));
	assert_int_equal(policy_add_addresses(&policy, &never, &err), 0);
	assert_true(policy_may_touch_address(&policy, first));
	assert_false(policy_may_touch_address(&policy, second));
	assert_int_equal(policy_add_addresses(&policy, &both, &err), 0);
	assert_true(policy_may_touch_address(&policy, first));
	assert_false(policy_may_touch_address(&policy, second));
	assert_false(policy_may_touch_address(&policy, third));
}

static void wrong_addresses_and_classes_are_refused(void **state)
{
	static char short_form[] = "41:00.0", bang[] = "!", twice[] = "!!0000:41:00.0";
	static char storage[] = "01", number[] = "3", accelerator[] = "12";
	struct config_list addresses[] = { LIST(short_form), LIST(bang), LIST(twice) };
	struct config_list classes[] = { LIST(storage), LIST(number) }, good = LIST(accelerator);
	struct policy policy = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(policy_add_addresses(&policy, &addresses[i], &err), -1);
		assert_string_equal(err.field, "device-address");
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(policy_add_classes(&policy, &classes[i], &err), -1);
		assert_string_equal(err.field, "device-class");
	}
	assert_int_equal(policy_add_classes(&policy, &good, &err), 0);
	assert_true(policy_is_gpu(&policy, 0x120000));
	assert_false(policy_is_gpu(&policy, 0x030200));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_listed_vendors_display_controllers_may_be_touched),
		cmocka_unit_test(only_listed_groups_may_be_granted),
		cmocka_unit_test(nothing_is_granted_without_ranges),
		cmocka_unit_test(wrong_ranges_are_refused_with_the_value),
		cmocka_unit_test(wrong_vendors_are_refused),
		cmocka_unit_test(addresses_allow_and_deny),
		cmocka_unit_test(wrong_addresses_and_classes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
