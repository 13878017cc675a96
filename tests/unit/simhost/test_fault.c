/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include "control.h"
#include "vendor.h"

#define VF0	  "0000:41:00.4"
#define VF1	  "0000:41:00.5"
#define CREATE(f) "sys/class/mdev_bus/" f "/mdev_supported_types/nvidia-1147/create"
#define ROOM(f)	  "sys/class/mdev_bus/" f "/mdev_supported_types/nvidia-1147/available_instances"
#define REMOVE(u) "sys/bus/mdev/devices/" u "/remove"
#define GPU	  "0000:82:00.0"
#define OF_GPU(f) "sys/bus/pci/devices/" GPU "/" f

static void order(struct host *host, const char *text)
{
	if (control_run(host, text) < 0)
		fail_msg("'%s' is refused", text);
}

static void eio_comes_as_often_as_told(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	order(host, "fault create-eio " VF0 " 2");

	assert_int_equal(store(host, CREATE(VF0), UUID("0001")), -EIO);
	assert_int_equal(store(host, CREATE(VF1), UUID("0002")), 0);
	assert_int_equal(store(host, CREATE(VF0), UUID("0001")), -EIO);
	assert_int_equal(store(host, CREATE(VF0), UUID("0001")), 0);
}

static void busy_ends_by_itself(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);

	(void)state;
	order(host, "fault reset-busy " GPU " 3");

	assert_int_equal(store(host, OF_GPU("reset"), "1"), -EBUSY);
	pass_time(host, 2900);
	assert_int_equal(store(host, OF_GPU("reset"), "1"), -EBUSY);
	pass_time(host, 200);
	assert_int_equal(store(host, OF_GPU("reset"), "1"), 0);
}

static void create_hang_keeps_the_writer_but_not_the_vgpu(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	order(host, "fault create-hang " VF0);

	assert_int_equal(store_as(host, CREATE(VF0), UUID("0001"), &writer.waiter), HOST_PENDING);
	assert_non_null(host_find_uuid(host, UUID("0001")));
	assert_int_equal(store(host, CREATE(VF1), UUID("0002")), 0);
	assert_int_equal(writer.call_count, 0);
	order(host, "clear");

	assert_int_equal(writer.call_count, 1);
	assert_int_equal(writer.result, 0);
}

static void a_create_that_fails_does_not_hang(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	order(host, "fault create-hang " VF0);
	assert_int_equal(store(host, CREATE(VF0), "nonsense"), -EINVAL);
}

static void a_removal_wakes_a_create_that_hangs(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer creator = writer_make();

	(void)state;
	order(host, "fault create-hang " VF0);
	assert_int_equal(store_as(host, CREATE(VF0), "00000000-0000-4000-8000-00000000000A\n",
				  &creator.waiter),
			 HOST_PENDING);
	assert_int_equal(creator.call_count, 0);
	assert_int_equal(store(host, REMOVE(UUID("000a")), "1"), 0);

	assert_int_equal(creator.call_count, 1);
	order(host, "clear");
	assert_int_equal(creator.call_count, 1);
}

static void create_hang_before_creates_when_it_ends(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer first = writer_make(), second = writer_make();

	(void)state;
	order(host, "fault create-hang-before " VF0);

	assert_int_equal(store_as(host, CREATE(VF0), UUID("0001"), &first.waiter), HOST_PENDING);
	assert_int_equal(store_as(host, CREATE(VF0), UUID("0002"), &second.waiter), HOST_PENDING);
	assert_null(host->mdevs);
	order(host, "clear");

	/* Only the one that came first fits. */
	assert_int_equal(first.result, 0);
	assert_int_equal(second.result, -EIO);
	assert_int_equal(first.call_count + second.call_count, 2);
	assert_string_equal(host->mdevs->uuid, UUID("0001"));
}

static void faults_of_one_function_end_alone(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer first = writer_make(), second = writer_make();

	(void)state;
	order(host, "fault create-hang-before " VF0 "\nfault create-hang-before " VF1);
	assert_int_equal(store_as(host, CREATE(VF0), UUID("0001"), &first.waiter), HOST_PENDING);
	assert_int_equal(store_as(host, CREATE(VF1), UUID("0002"), &second.waiter), HOST_PENDING);
	order(host, "clear " VF1);

	assert_int_equal(first.call_count, 0);
	assert_int_equal(second.call_count, 1);
	assert_null(host_find_uuid(host, UUID("0001")));
	assert_non_null(host_find_uuid(host, UUID("0002")));
}

static void what_hung_before_finds_its_device_gone(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	order(host, "fault create-hang-before " VF0);
	assert_int_equal(store_as(host, CREATE(VF0), UUID("0001"), &writer.waiter), HOST_PENDING);
	order(host, "unplug 0000:41:00.0\nclear");
	assert_int_equal(writer.result, -ENODEV);
	assert_null(host->mdevs);
}

static void remove_hang_waits_though_nobody_holds(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	order(host, "fault remove-hang " VF0);

	assert_int_equal(store_as(host, REMOVE(UUID("0001")), "1", &writer.waiter), HOST_PENDING);
	assert_non_null(host->mdevs);
	order(host, "clear");

	assert_null(host->mdevs);
	assert_int_equal(writer.call_count, 1);
}

static void remove_hang_ends_though_its_writer_holds_the_node(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	assert_int_equal(group_open(host, host->mdevs->group, &writer_process), 0);
	order(host, "fault remove-hang " VF0);
	assert_int_equal(store_as(host, REMOVE(UUID("0001")), "1", &writer.waiter), HOST_PENDING);
	order(host, "clear");

	assert_null(host->mdevs);
	assert_int_equal(writer.call_count, 1);
}

static void the_end_of_faults_does_not_take_from_a_holder(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	assert_int_equal(group_open(host, host->mdevs->group, &other_process), 0);
	assert_int_equal(store_as(host, REMOVE(UUID("0001")), "1", &writer.waiter), HOST_PENDING);
	order(host, "clear");
	assert_int_equal(writer.call_count, 0);
	assert_non_null(host->mdevs);
}

static void each_write_to_a_whole_gpu_can_hang(void **state)
{
	static const struct {
		const char *name, *file, *text;
	} rows[] = {
		{ "reset", OF_GPU("reset"), "1" },
		{ "override", OF_GPU("driver_override"), "vfio-pci" },
		{ "unbind", "sys/bus/pci/drivers/nvidia/unbind", GPU },
		{ "bind", "sys/bus/pci/drivers/vfio-pci/bind", GPU },
	};
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writer before = writer_make(), after = writer_make();
		char text[64];

		snprintf(text, sizeof(text), "fault %s-hang-before %s", rows[i].name, GPU);
		order(host, text);
		assert_int_equal(store_as(host, rows[i].file, rows[i].text, &before.waiter),
				 HOST_PENDING);
		snprintf(text, sizeof(text), "clear\nfault %s-hang %s", rows[i].name, GPU);
		order(host, text);
		assert_int_equal(before.call_count, 1);
		assert_int_equal(before.result, 0);
		if (i >= 2)
			continue; /* it is done, and cannot be done twice */
		assert_int_equal(store_as(host, rows[i].file, rows[i].text, &after.waiter),
				 HOST_PENDING);
		order(host, "clear");
		assert_int_equal(after.call_count, 1);
	}
	assert_int_equal(function_at(host, GPU)->reset_count, 2);
	assert_string_equal(function_at(host, GPU)->driver, "vfio-pci");
}

static void unbind_hang_holds_the_devices_lock(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct writer unbinder = writer_make(), prober = writer_make();

	(void)state;
	order(host, "fault unbind-hang " GPU);
	assert_int_equal(store_as(host, "sys/bus/pci/drivers/nvidia/unbind", GPU, &unbinder.waiter),
			 HOST_PENDING);
	assert_int_equal(store_as(host, "sys/bus/pci/drivers_probe", GPU, &prober.waiter),
			 HOST_PENDING);
	assert_int_equal(read_result(host, OF_GPU("driver_override")), HOST_PENDING);
	assert_false(exists(host, OF_GPU("driver")));
	order(host, "clear");
	assert_int_equal(unbinder.call_count, 1);
	assert_int_equal(prober.call_count, 1);
	assert_string_equal(function_at(host, GPU)->driver, "nvidia");
}

static void type_writes_can_hang_and_vanish(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	struct writer writer = writer_make();
#define TYPE0 "sys/bus/pci/devices/" VF0 "/nvidia/current_vgpu_type"

	(void)state;
	order(host, "fault type-ignored " VF0);
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	expect_text(host, TYPE0, "0\n");
	order(host, "clear\nfault type-hang " VF0);
	assert_int_equal(store_as(host, TYPE0, "1145", &writer.waiter), HOST_PENDING);
	expect_text(host, TYPE0, "1145\n");
	order(host, "clear\nfault type-eio " VF0 " 1");
	assert_int_equal(writer.result, 0);
	assert_int_equal(writer.call_count, 1);
	assert_int_equal(store(host, TYPE0, "0"), -EIO);
	assert_int_equal(store(host, TYPE0, "0"), 0);
}

static void a_slot_that_lies_offers_what_it_refuses(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1,l40s:1:vendor");
#define LIST "sys/bus/pci/devices/0000:61:00.5/nvidia/creatable_vgpu_types"

	(void)state;
	order(host, "fault lie " VF0 "\nfault lie 0000:61:00.5\ntype 0000:61:00.4 1156");
	assert_int_equal(create_text(host, VF1, "48Q", UUID("0001")), 0);

	expect_text(host, ROOM(VF0), "1\n");
	assert_int_equal(store(host, CREATE(VF0), UUID("0002")), -EIO);
	order(host, "fault list-short 0000:61:00.5 1");
	expect_text(host, LIST, "ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n");
	assert_int_equal(control_run(host, "type 0000:61:00.5 1145"), -EIO);
	order(host, "clear");
	expect_text(host, ROOM(VF0), "0\n");
	expect_text(host, LIST, "ID    : vGPU Name\n");
}

static void a_create_can_succeed_and_leave_nothing(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");

	(void)state;
	order(host, "fault create-ignored " VF0);
	assert_int_equal(store(host, CREATE(VF0), UUID("0001")), 0);
	assert_null(host->mdevs);
	expect_text(host, ROOM(VF0), "1\n");
}

static void a_list_loses_lines_and_header(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
#define LIST0 "sys/bus/pci/devices/" VF0 "/nvidia/creatable_vgpu_types"

	(void)state;
	order(host, "fault list-plain " VF0 "\nfault list-short " VF0 " 2");
	expect_text(host, LIST0, "1145  : NVIDIA L40S-1B\n1146  : NVIDIA L40S-2B\n");
	order(host, "fault list-short " VF0 " 0");
	expect_text(host, LIST0, "");
	/* What it does not show can be created all the same. */
	assert_int_equal(control_run(host, "type " VF0 " 1156"), 0);
}

static void reads_fail_on_a_path_or_a_whole_gpu(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2");

	(void)state;
	order(host, "fault read-enxio " ROOM(VF0));
	assert_int_equal(read_result(host, ROOM(VF0)), -ENXIO);
	assert_int_equal(read_result(host, "sys/devices/pci0000:41/" VF0
					   "/mdev_supported_types/nvidia-1147/available_instances"),
			 -ENXIO);
	assert_int_equal(read_result(host, ROOM(VF1)), 0);
	order(host, "fault read-eio 0000:41:00.0\nfault read-well " ROOM(VF0));
	assert_int_equal(read_result(host, ROOM(VF0)), -EIO);
	assert_int_equal(read_result(host, "sys/bus/pci/devices/" VF1 "/numa_node"), -EIO);
	assert_int_equal(read_result(host, "sys/bus/pci/devices/0000:61:00.0/numa_node"), 0);
	assert_true(exists(host, "sys/bus/pci/devices/" VF1 "/physfn/vendor")); /* links are read */
	order(host, "fault read-hang " VF0);
	assert_int_equal(read_result(host, ROOM(VF0)), HOST_PENDING);
	assert_int_equal(read_result(host, ROOM(VF1)), -EIO);
	order(host, "clear");
	assert_int_equal(read_result(host, ROOM(VF0)), 0);
}

static void a_path_fault_is_on_a_file_however_often_it_is_looked_up(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");

	(void)state;
	order(host, "fault read-eio " TYPE0);
	assert_int_equal(read_result(host, TYPE0), -EIO);
	assert_int_equal(read_result(host, TYPE0), -EIO);
	order(host, "fault read-hang " TYPE0);
	assert_int_equal(read_result(host, TYPE0), HOST_PENDING);
	order(host, "fault read-well " TYPE0);
	assert_int_equal(read_result(host, TYPE0), 0);
}

static void a_slow_close_keeps_a_vgpu_busy(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();
	struct group *group;

	(void)state;
	order(host, "fault slow-close " VF0 " 2");
	assert_int_equal(create_text(host, VF0, "1Q", UUID("0001")), 0);
	group = host->mdevs->group;
	assert_int_equal(group_open(host, group, &other_process), 0);
	group_close(host, group->number, group->node_serial);
	assert_int_equal(group_open(host, group, &other_process), -EBUSY);
	assert_int_equal(store_as(host, REMOVE(UUID("0001")), "1", &writer.waiter), HOST_PENDING);
	pass_time(host, 1900);
	assert_int_equal(writer.call_count, 0);
	pass_time(host, 200);
	assert_int_equal(writer.call_count, 1);
	assert_null(host->mdevs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eio_comes_as_often_as_told),
		cmocka_unit_test(busy_ends_by_itself),
		cmocka_unit_test(create_hang_keeps_the_writer_but_not_the_vgpu),
		cmocka_unit_test(a_create_that_fails_does_not_hang),
		cmocka_unit_test(a_removal_wakes_a_create_that_hangs),
		cmocka_unit_test(create_hang_before_creates_when_it_ends),
		cmocka_unit_test(faults_of_one_function_end_alone),
		cmocka_unit_test(what_hung_before_finds_its_device_gone),
		cmocka_unit_test(remove_hang_waits_though_nobody_holds),
		cmocka_unit_test(remove_hang_ends_though_its_writer_holds_the_node),
		cmocka_unit_test(the_end_of_faults_does_not_take_from_a_holder),
		cmocka_unit_test(each_write_to_a_whole_gpu_can_hang),
		cmocka_unit_test(unbind_hang_holds_the_devices_lock),
		cmocka_unit_test(type_writes_can_hang_and_vanish),
		cmocka_unit_test(a_slot_that_lies_offers_what_it_refuses),
		cmocka_unit_test(a_create_can_succeed_and_leave_nothing),
		cmocka_unit_test(a_list_loses_lines_and_header),
		cmocka_unit_test(reads_fail_on_a_path_or_a_whole_gpu),
		cmocka_unit_test(a_path_fault_is_on_a_file_however_often_it_is_looked_up),
		cmocka_unit_test(a_slow_close_keeps_a_vgpu_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
