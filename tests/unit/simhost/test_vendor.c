/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include "control.h"
#include "driver.h"
#include "vendor.h"

#define VF0	"0000:41:00.4"
#define VF1	"0000:41:00.5"
#define IN0(f)	"sys/bus/pci/devices/" VF0 "/nvidia/" f
#define IN1(f)	"sys/bus/pci/devices/" VF1 "/nvidia/" f
#define TYPE0	IN0("current_vgpu_type")
#define TYPE1	IN1("current_vgpu_type")
#define LIST0	IN0("creatable_vgpu_types")
#define LIST1	IN1("creatable_vgpu_types")
#define PARAMS0 IN0("vgpu_params")
#define PLACE0	IN0("placement_id")
#define HEADER	"ID    : vGPU Name\n"

static void a_virtual_function_has_the_vendors_folder(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");

	(void)state;
	expect_text(host, TYPE0, "0\n");
	assert_true(exists(host, "sys/bus/pci/devices/" VF0 "/vfio-dev/vfio0"));
	assert_true(exists(host, "sys/bus/pci/devices/0000:41:04.3/vfio-dev/vfio31"));
	assert_true(exists(host, "dev/vfio/2"));
	assert_true(exists(host, "sys/class/vfio/2/uevent"));
	assert_false(exists(host, "sys/bus/pci/devices/0000:41:00.0/nvidia"));
	assert_false(exists(host, "sys/bus/pci/devices/" VF0 "/mdev_supported_types"));
	assert_false(exists(host, "sys/class/mdev_bus"));
	assert_string_equal(function_at(host, VF0)->driver, "nvidia");
}

static void an_empty_gpu_lists_every_type_as_captured(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	scoped_free char *list = NULL;
	int r;

	(void)state;
	list = show(host, at(host, LIST0), &r);
	assert_int_equal(r, 0);
	assert_int_equal(strncmp(list, HEADER "1145  : NVIDIA L40S-1B\n", 41), 0);
	assert_non_null(strstr(list, "\n1166  : NVIDIA L40S-48A\n2164  : NVIDIA L40S-3B\n"));
}

static void the_list_shrinks_to_what_still_fits(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:2:vendor");

	(void)state;
	assert_int_equal(store(host, TYPE0, "1155\n"), 0);

	expect_text(host, TYPE0, "1155\n");
	expect_text(host, LIST0, HEADER);
	expect_text(host, LIST1, HEADER "1155  : NVIDIA L40S-24Q\n1165  : NVIDIA L40S-24A\n");
	assert_int_equal(store(host, TYPE1, "1165"), 0);
	expect_text(host, "sys/bus/pci/devices/0000:41:00.6/nvidia/creatable_vgpu_types", HEADER);
	/* The other GPU is another matter. */
	assert_int_equal(
		store(host, "sys/bus/pci/devices/0000:61:00.4/nvidia/current_vgpu_type", "1145"),
		0);
	assert_int_equal(store(host, TYPE1, "0"), 0);
	assert_int_equal(store(host, TYPE0, "0"), 0);
	assert_int_equal(store(host, TYPE0, "1145"), 0);
}

static void a_plain_list_has_no_header(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor:plain-list");

	(void)state;
	assert_int_equal(store(host, TYPE0, "1156"), 0);
	expect_text(host, LIST0, "");
	expect_text(host, LIST1, "");
	assert_int_equal(store(host, TYPE0, "0"), 0);
	assert_int_equal(store(host, TYPE0, "1155"), 0);
	expect_text(host, LIST1, "1155  : NVIDIA L40S-24Q\n1165  : NVIDIA L40S-24A\n");
}

static void what_the_driver_refuses(void **state)
{
	static const struct {
		const char *text;
		int result;
	} rows[] = {
		{ "x", -EINVAL },	   { "-1", -EINVAL }, { "1145x", -EINVAL },
		{ "4294967296", -ERANGE }, { "0", -EPERM }, /* there is none */
		{ "1144", -EIO },			    /* no such type */
		{ "1146", -EIO },			    /* another size */
		{ "4294967295", -EIO },
	};
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");

	(void)state;
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(store(host, TYPE1, rows[i].text), rows[i].result);
	assert_int_equal(store(host, TYPE0, "1145"), -EPERM); /* typed */
	assert_int_equal(store(host, TYPE1, "0x479"), 0);     /* 1145 */
	assert_int_equal(host->gpus[0].vgpu_count, 2);
}

static void a_gpu_takes_as_many_as_its_table_says(void **state)
{
	static const struct {
		const char *id;
		unsigned int count;
	} rows[] = { { "1147", 32 }, { "1148", 24 }, { "2164", 16 }, { "1154", 3 }, { "1156", 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scoped(host_free) struct host *host = host_make("l40s:1:vendor");
		unsigned int created = 0;

		for (unsigned int vf = 4; vf < 36; vf++) {
			char path[96];

			snprintf(path, sizeof(path),
				 "sys/devices/pci0000:41/0000:41:%02x.%x/nvidia/current_vgpu_type",
				 vf >> 3, vf & 7);
			if (store(host, path, rows[i].id) == 0)
				created++;
		}
		assert_int_equal(created, rows[i].count);
	}
}

static void an_open_one_is_not_destroyed(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	struct group *group = function_at(host, VF0)->group;

	(void)state;
	assert_int_equal(group_open(host, group, &other_process), -ENODEV); /* no type */
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	assert_int_equal(group_open(host, group, &other_process), 0);
	assert_int_equal(group_open(host, group, &other_process), -EBUSY);
	assert_int_equal(store(host, TYPE0, "0"), -EPERM);
	assert_int_equal(store(host, PARAMS0, "a=1"), -EPERM);
	assert_int_equal(store(host, PLACE0, "1"), -EPERM);
	group_close(host, group->number, group->node_serial);
	assert_int_equal(store(host, TYPE0, "0"), 0);
	/* Who holds it without having taken the device may destroy it. */
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	assert_int_equal(group_open(host, group, &writer_process), 0);
	assert_int_equal(store(host, TYPE0, "0"), 0);
	assert_true(group->is_held);
}

static void a_destroy_waits_for_the_manager_and_gives_up(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	struct group *group = function_at(host, VF0)->group;
	struct writer first = writer_make(), second = writer_make(), third = writer_make();

	(void)state;
	assert_int_equal(control_run(host, "fault slow-close " VF0 " 8"), 0);
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	assert_int_equal(group_open(host, group, &other_process), 0);
	group_close(host, group->number, group->node_serial);
	assert_int_equal(group_open(host, group, &other_process), -EBUSY);

	assert_int_equal(store_as(host, TYPE0, "0", &first.waiter), HOST_PENDING);
	assert_int_equal(store_as(host, TYPE0, "0", &second.waiter), -EBUSY);
	pass_time(host, 4900);
	assert_int_equal(first.call_count, 0);
	pass_time(host, 200);
	assert_int_equal(first.result, -EBUSY);
	assert_int_equal(store_as(host, TYPE0, "0", &third.waiter), HOST_PENDING);
	pass_time(host, 3000);
	assert_int_equal(third.call_count, 1);
	assert_int_equal(third.result, 0);
	expect_text(host, TYPE0, "0\n");
	assert_int_equal(first.call_count, 1);
}

static void what_there_is_to_read_without_a_vgpu(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");

	(void)state;
	assert_int_equal(read_result(host, PARAMS0), -ENXIO);
	assert_int_equal(read_result(host, PLACE0), -ENXIO);
	assert_int_equal(read_result(host, IN0("gpu_instance_id")), -ENXIO);
	assert_int_equal(store(host, PARAMS0, "a=1"), -ENXIO);
	assert_int_equal(store(host, PLACE0, "0"), -ENXIO);
	expect_text(host, IN0("warm_update"), "");
	assert_int_equal(store(host, IN0("warm_update"), "1"), -EPERM);

	assert_int_equal(store(host, TYPE0, "1145"), 0);
	expect_text(host, PARAMS0, "\n");
	expect_text(host, PLACE0, "0\n");
	assert_int_equal(read_result(host, IN0("gpu_instance_id")), -ENXIO);
}

static void params_are_those_of_one_vgpu(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	char text[HOST_PARAMS_SIZE + 1];

	(void)state;
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	assert_int_equal(store(host, PARAMS0, "frame_rate_limiter=0\n"), 0);
	expect_text(host, PARAMS0, "frame_rate_limiter=0\n");
	memset(text, 'x', sizeof(text));
	text[HOST_PARAMS_SIZE] = '\0';
	assert_int_equal(store(host, PARAMS0, text), -E2BIG);
	text[HOST_PARAMS_SIZE - 1] = '\0';
	assert_int_equal(store(host, PARAMS0, text), 0);
	assert_int_equal(store(host, TYPE0, "0"), 0);
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	expect_text(host, PARAMS0, "\n");
}

static void the_first_place_that_is_free_is_taken(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");

	(void)state;
	assert_int_equal(store(host, TYPE0, "1150"), 0);
	assert_int_equal(store(host, TYPE1, "1150"), 0);
	expect_text(host, IN1("placement_id"), "4\n");
	assert_int_equal(store(host, PLACE0, "2"), -EINVAL);
	assert_int_equal(store(host, PLACE0, "48"), -EINVAL);
	assert_int_equal(store(host, PLACE0, "4"), -EIO);
	assert_int_equal(store(host, PLACE0, "44"), 0);
	expect_text(host, PLACE0, "44\n");
	assert_int_equal(
		store(host, "sys/bus/pci/devices/0000:41:00.6/nvidia/current_vgpu_type", "1160"),
		0);
	expect_text(host, "sys/bus/pci/devices/0000:41:00.6/nvidia/placement_id", "0\n");
}

static void vfio_pci_cannot_have_what_is_a_vfio_device(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	struct function *vf = function_at(host, VF0);
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	assert_int_equal(group_open(host, vf->group, &other_process), 0);
	assert_int_equal(driver_unbind(host, vf, vf->driver, &writer_process, &writer.waiter),
			 HOST_PENDING);
	assert_false(exists(host, "sys/bus/pci/devices/" VF0 "/nvidia"));
	group_close(host, vf->group->number, vf->group->node_serial);
	assert_int_equal(writer.call_count, 1);
	assert_int_equal(host->gpus[0].vgpu_count, 0);
	assert_false(exists(host, "dev/vfio/2"));

	assert_int_equal(driver_set_override(vf, "vfio-pci", 8), 0);
	assert_int_equal(driver_probe(host, vf), -EINVAL);
	assert_int_equal(driver_set_override(vf, "\n", 1), 0);
	assert_int_equal(driver_probe(host, vf), 0);
	expect_text(host, TYPE0, "0\n");
}

static void a_physical_function_takes_all_types_with_it(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:vendor");
	struct function *pf = function_at(host, "0000:41:00.0");
	struct group *group = function_at(host, VF1)->group;
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(store(host, TYPE0, "1145"), 0);
	assert_int_equal(store(host, TYPE1, "1145"), 0);
	assert_int_equal(group_open(host, group, &other_process), 0);
	assert_int_equal(driver_unbind(host, pf, pf->driver, &writer_process, &writer.waiter),
			 HOST_PENDING);
	group_close(host, group->number, group->node_serial);
	assert_int_equal(writer.call_count, 1);
	assert_int_equal(host->gpus[0].vgpu_count, 0);
	assert_int_equal(host->gpus[0].used_mb, 0);
	assert_false(exists(host, "sys/bus/pci/devices/" VF0));
	assert_false(exists(host, "dev/vfio/2"));
	assert_false(exists(host, "sys/kernel/iommu_groups/2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_virtual_function_has_the_vendors_folder),
		cmocka_unit_test(an_empty_gpu_lists_every_type_as_captured),
		cmocka_unit_test(the_list_shrinks_to_what_still_fits),
		cmocka_unit_test(a_plain_list_has_no_header),
		cmocka_unit_test(what_the_driver_refuses),
		cmocka_unit_test(a_gpu_takes_as_many_as_its_table_says),
		cmocka_unit_test(an_open_one_is_not_destroyed),
		cmocka_unit_test(a_destroy_waits_for_the_manager_and_gives_up),
		cmocka_unit_test(what_there_is_to_read_without_a_vgpu),
		cmocka_unit_test(params_are_those_of_one_vgpu),
		cmocka_unit_test(the_first_place_that_is_free_is_taken),
		cmocka_unit_test(vfio_pci_cannot_have_what_is_a_vfio_device),
		cmocka_unit_test(a_physical_function_takes_all_types_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
