/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command lines, compared with files under golden/, one argument a line.
 * UPDATE_GOLDEN=1 writes them anew; the difference is reviewed like code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "instance-svc/strv.h"
#include "instance-svc/vm_command.h"

static const struct vm_plan plain = {
	.name = "ml-training",
	.id = "abcdefghijklmnopqrstuvwx",
	.uuid = "aa618089-8b16-4d01-a136-25a0f3c73123",
	.vcpus = 4,
	.memory_bytes = UINT64_C(8) << 30,
	.memory = { .node = -1 },
	.machine = "pc-q35-7.2",
	.kernel = "/usr/lib/hypeman/guest/vmlinux",
	.initramfs = "/usr/lib/hypeman/guest/initramfs.cpio",
	.supervisor = "/usr/libexec/hypeman/instance-supervisor",
};

static const struct gpu_lease mdev = {
	.id = { "bb618089-8b16-4d01-a136-25a0f3c73123" },
	.mdev_uuid = { "bb618089-8b16-4d01-a136-25a0f3c73123" },
	.device_node = "/dev/vfio/36",
	.sysfs_path = "/sys/bus/mdev/devices/bb618089-8b16-4d01-a136-25a0f3c73123",
};

static const struct gpu_lease whole = {
	.id = { "cb618089-8b16-4d01-a136-25a0f3c73123" },
	.device_id = { "db618089-8b16-4d01-a136-25a0f3c73123" },
	.pci_address = "0000:82:00.0",
	.functions = { { 0, 0x82, 0, 0 }, { 0, 0x82, 0, 1 } },
	.function_count = 2,
	.device_node = "/dev/vfio/82",
	.sysfs_path = "/sys/bus/pci/devices/0000:82:00.0",
};

static char *join(char *const *argv)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; argv && argv[i]; i++)
		fprintf(out, "%s\n", argv[i]);
	fclose(out);
	return text;
}

static char *read_whole(const char *path)
{
	scoped_file FILE *file = fopen(path, "re");
	char *text = calloc(1, 16384);

	if (file)
		(void)!fread(text, 1, 16383, file);
	return text;
}

static void expect_golden(const char *name, char **take_argv)
{
	scoped(strv_free) char **argv = take_argv;
	scoped_free char *text = join(argv);
	scoped_free char *golden = NULL;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIRECTORY, name);
	if (getenv("UPDATE_GOLDEN")) {
		scoped_file FILE *file = fopen(path, "we");

		assert_non_null(file);
		fputs(text, file);
		return;
	}
	golden = read_whole(path);
	assert_string_equal(text, golden);
}

static void expect_jail(const char *name, const struct vm_plan *plan)
{
	char **argv = NULL;
	struct err err;

	assert_int_equal(vm_command_jail(plan, &argv, &err), 0);
	expect_golden(name, argv);
}

static void an_emulated_vm_without_network_or_gpu(void **state)
{
	(void)state;
	expect_jail("plain.argv", &plain);
}

static void a_kvm_vm_with_a_real_mdev_sees_that_device_only(void **state)
{
	const struct gpu_lease *const leases[] = { &mdev };
	struct vm_plan plan = plain;

	(void)state;
	plan.kvm = true;
	plan.network = true;
	plan.leases = leases;
	plan.lease_count = 1;
	expect_jail("kvm-mdev-network.argv", &plan);
}

static void a_simulated_gpu_is_a_stand_in_and_opens_nothing(void **state)
{
	struct gpu_lease vgpu = mdev, device = whole;
	const struct gpu_lease *const leases[] = { &vgpu, &device };
	struct vm_plan plan = plain;

	(void)state;
	vgpu.simulated = device.simulated = true;
	plan.leases = leases;
	plan.lease_count = 2;
	expect_jail("simulated.argv", &plan);
}

static void whole_gpus_come_with_all_their_functions(void **state)
{
	struct gpu_lease second = whole;
	const struct gpu_lease *const leases[] = { &whole, &second };
	struct vm_plan plan = plain;

	(void)state;
	second.functions[0].bus = 0x83;
	second.function_count = 1;
	snprintf(second.device_node, sizeof(second.device_node), "/dev/vfio/83");
	plan.leases = leases;
	plan.lease_count = 2;
	plan.memory = (struct vm_memory){ .node = 1, .huge = true };
	expect_jail("devices.argv", &plan);
}

static void memory_and_disks_have_what_the_spec_says(void **state)
{
	struct vm_plan plan = plain;

	(void)state;
	plan.hotplug_bytes = UINT64_C(2) << 30;
	plan.disk_io_bps = 100 << 20;
	plan.memory.huge = true;
	plan.restore = true;
	expect_jail("limits.argv", &plan);
}

static void the_network_goes_through_pasta_and_the_guard(void **state)
{
	struct vm_plan plan = plain;
	char **argv = NULL;
	struct err err;

	(void)state;
	plan.network = true;
	plan.host_addresses = "127.0.0.1 192.0.2.2 ";
	assert_int_equal(vm_command_network(&plan, &argv, &err), 0);
	expect_golden("network.argv", argv);
}

static void without_a_network_nothing_is_started_for_it(void **state)
{
	char **argv = NULL;
	struct err err;

	(void)state;
	assert_int_equal(vm_command_network(&plain, &argv, &err), 0);
	assert_null(argv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_emulated_vm_without_network_or_gpu),
		cmocka_unit_test(a_kvm_vm_with_a_real_mdev_sees_that_device_only),
		cmocka_unit_test(a_simulated_gpu_is_a_stand_in_and_opens_nothing),
		cmocka_unit_test(whole_gpus_come_with_all_their_functions),
		cmocka_unit_test(memory_and_disks_have_what_the_spec_says),
		cmocka_unit_test(the_network_goes_through_pasta_and_the_guard),
		cmocka_unit_test(without_a_network_nothing_is_started_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
