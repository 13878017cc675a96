/* SPDX-License-Identifier: Apache-2.0 */
/* Against folders that stand for /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "instance-svc/vm_memory.h"

#define MB (UINT64_C(1) << 20)

static char sys[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(sys, sizeof(sys), "/tmp/vm-memory-test-XXXXXX");
	return mkdtemp(sys) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", sys);
	return system(command);
}

/* node -1: those of the whole host. */
static void add_pages(int node, int free_pages)
{
	char command[512], folder[256];

	if (node < 0)
		snprintf(folder, sizeof(folder), "%s/kernel/mm/hugepages/hugepages-2048kB", sys);
	else
		snprintf(folder, sizeof(folder),
			 "%s/devices/system/node/node%d/hugepages/hugepages-2048kB", sys, node);
	snprintf(command, sizeof(command), "mkdir -p %s && echo %d > %s/free_hugepages", folder,
		 free_pages, folder);
	assert_int_equal(system(command), 0);
}

static void huge_pages_are_taken_when_there_are_enough(void **state)
{
	struct vm_memory memory;

	(void)state;
	add_pages(-1, 128);
	memory = vm_memory_choose(sys, 256 * MB, -1);
	assert_true(memory.huge);
	assert_string_equal(memory.note, "");
	memory = vm_memory_choose(sys, 257 * MB, -1);
	assert_false(memory.huge);
	assert_non_null(strstr(memory.note, "128 huge pages of 2 MiB are free and 129 are needed"));
}

static void a_host_without_huge_pages_is_no_failure(void **state)
{
	struct vm_memory memory = vm_memory_choose(sys, 256 * MB, -1);

	(void)state;
	assert_false(memory.huge);
	assert_int_equal(memory.node, -1);
	assert_non_null(strstr(memory.note, "0 huge pages"));
}

static void memory_is_bound_where_there_is_a_choice(void **state)
{
	(void)state;
	add_pages(0, 0);
	assert_int_equal(vm_memory_choose(sys, 256 * MB, 0).node, -1);
	add_pages(1, 0);
	assert_int_equal(vm_memory_choose(sys, 256 * MB, 1).node, 1);
	assert_int_equal(vm_memory_choose(sys, 256 * MB, -1).node, -1);
	assert_int_equal(vm_memory_choose(sys, 256 * MB, 7).node, -1);
}

static void huge_pages_of_another_node_do_not_count(void **state)
{
	(void)state;
	add_pages(-1, 200);
	add_pages(0, 180);
	add_pages(1, 20);
	assert_false(vm_memory_choose(sys, 256 * MB, 1).huge);
	assert_true(vm_memory_choose(sys, 256 * MB, 0).huge);
	assert_true(vm_memory_choose(sys, 256 * MB, -1).huge);
}

static void a_limit_of_locked_memory_is_checked_at_its_edge(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(vm_memory_check_lock(8 * MB, 1024 * MB, 0, &err), 0);
	assert_int_equal(vm_memory_check_lock(3072 * MB, 1024 * MB, 2, &err), 0);
	assert_int_equal(vm_memory_check_lock(UINT64_MAX, 1024 * MB, 2, &err), 0);
	assert_int_equal(vm_memory_check_lock(3072 * MB - 1, 1024 * MB, 2, &err), -1);
	assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "1GB of memory and 2 device(s) needs 3GB"));
	assert_non_null(strstr(err.message, "LimitMEMLOCK"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(huge_pages_are_taken_when_there_are_enough),
		TEST(a_host_without_huge_pages_is_no_failure),
		TEST(memory_is_bound_where_there_is_a_choice),
		TEST(huge_pages_of_another_node_do_not_count),
		TEST(a_limit_of_locked_memory_is_checked_at_its_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
