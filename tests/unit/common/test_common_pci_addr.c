/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/pci_addr.h"

static void addresses_as_sysfs_writes_them_are_taken(void **state)
{
	static const char *const texts[] = {
		"0000:00:00.0", "0000:41:00.0", "ffff:ff:1f.7", "10000:e1:00.0", "ffffffff:ff:1f.7",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct pci_addr addr;

		assert_int_equal(pci_addr_parse(texts[i], &addr), 0);
		assert_string_equal(PCI_STR(addr), texts[i]);
	}
}

static void the_parts_are_where_they_belong(void **state)
{
	struct pci_addr addr;

	(void)state;
	assert_int_equal(pci_addr_parse("00a1:41:1e.5", &addr), 0);
	assert_int_equal(addr.domain, 0xa1);
	assert_int_equal(addr.bus, 0x41);
	assert_int_equal(addr.slot, 0x1e);
	assert_int_equal(addr.function, 5);
}

static void everything_else_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"41:00.0",
		"0000:41:00",
		"000:41:00.0",
		"0000:41:00.8",
		"0000:41:20.0",
		"0000:100:00.0",
		"0000:41:00.0 ",
		" 0000:41:00.0",
		"0000:41:00.00",
		"0000:41:00.0/../..",
		"0000:4G:00.0",
		"0000:41:00.0\n",
		"00000:41:00.0",
		"100000000:41:00.0",
		"0000:AB:00.0",
		"-001:41:00.0",
		"+000:41:00.0",
		"0x00:41:00.0",
		"0000:41:0.0",
		"0000-41-00.0",
		"0000:41:00:0",
		"ffffffffff:41:00.0",
		"0000:41: 0.0",
		"0000:41:00.0abcd",
		"..",
		"0000:41:00.-",
		"0000:41:00.",
	};
	const struct pci_addr before = { 1, 2, 3, 4 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct pci_addr addr = before;

		assert_int_equal(pci_addr_parse(texts[i], &addr), -EINVAL);
		assert_int_equal(pci_addr_compare(addr, before), 0);
	}
}

static void addresses_have_an_order(void **state)
{
	static const char *const in_order[] = { "0000:00:00.0", "0000:00:00.1", "0000:00:01.0",
						"0000:01:00.0", "0001:00:00.0", "10000:00:00.0" };
	const size_t count = sizeof(in_order) / sizeof(in_order[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct pci_addr a, b;
			int order;

			assert_int_equal(pci_addr_parse(in_order[i], &a), 0);
			assert_int_equal(pci_addr_parse(in_order[j], &b), 0);
			order = pci_addr_compare(a, b);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_as_sysfs_writes_them_are_taken),
		cmocka_unit_test(the_parts_are_where_they_belong),
		cmocka_unit_test(everything_else_is_refused),
		cmocka_unit_test(addresses_have_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
