/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include "control.h"
#include "driver.h"
#include "hotplug.h"

#define GPU   "0000:82:00.0"
#define AUDIO "0000:82:00.1"

static int steer(struct function *function, const char *driver)
{
	return driver_set_override(function, driver, strlen(driver));
}

/* Takes it from its driver and gives it to vfio-pci, as libvirt does. */
static struct function *move_to_vfio(struct host *host, const char *address)
{
	struct function *function = function_at(host, address);
	struct writer writer = writer_make();

	assert_int_equal(steer(function, "vfio-pci\n"), 0);
	assert_int_equal(
		driver_unbind(host, function, function->driver, &writer_process, &writer.waiter),
		0);
	assert_int_equal(driver_probe(host, function), 0);
	assert_true(driver_is_vfio(function));
	return function;
}

static void a_whole_gpu_shares_its_group_with_its_audio_function(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);

	(void)state;
	assert_ptr_equal(function_at(host, GPU)->group, function_at(host, AUDIO)->group);
	assert_string_equal(function_at(host, GPU)->driver, "nvidia");
	assert_string_equal(function_at(host, AUDIO)->driver, "snd_hda_intel");
	assert_false(group_has_node(function_at(host, GPU)->group));
}

static void vfio_pci_brings_the_node_and_takes_it_away(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = move_to_vfio(host, GPU);
	struct writer writer = writer_make();

	(void)state;
	assert_true(group_has_node(gpu->group));
	move_to_vfio(host, AUDIO);
	assert_int_equal(driver_unbind(host, gpu, gpu->driver, &writer_process, &writer.waiter), 0);
	assert_true(group_has_node(gpu->group)); /* the audio function still has it */

	assert_int_equal(steer(gpu, "\n"), 0);
	assert_int_equal(driver_probe(host, gpu), 0);
	assert_string_equal(gpu->driver, "nvidia");
}

static void probing_finds_no_driver_and_says_nothing(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = function_at(host, GPU);
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(steer(gpu, "nosuchdriver"), 0);
	assert_int_equal(driver_unbind(host, gpu, gpu->driver, &writer_process, &writer.waiter), 0);
	assert_int_equal(driver_probe(host, gpu), 0);
	assert_null(gpu->driver);
}

static void bind_wants_a_driver_that_matches(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = function_at(host, GPU);
	const char *vfio = host_find_driver(host, "vfio-pci");
	const char *nvidia = host_find_driver(host, "nvidia");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(driver_bind(host, gpu, vfio), -ENODEV);
	assert_int_equal(driver_bind(host, gpu, nvidia), -EBUSY);
	assert_int_equal(driver_unbind(host, gpu, vfio, &writer_process, &writer.waiter), -ENODEV);
	assert_int_equal(driver_unbind(host, gpu, nvidia, &writer_process, &writer.waiter), 0);
	assert_int_equal(steer(gpu, "vfio-pci"), 0);
	assert_int_equal(driver_bind(host, gpu, nvidia), -ENODEV);
	assert_int_equal(driver_bind(host, gpu, vfio), 0);
}

static void a_driver_refuses_what_is_not_its_hardware(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = function_at(host, GPU);
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(steer(gpu, "snd_hda_intel"), 0);
	assert_int_equal(driver_unbind(host, gpu, gpu->driver, &writer_process, &writer.waiter), 0);
	assert_int_equal(driver_probe(host, gpu), -EINVAL);
	assert_null(gpu->driver);
}

static void unbinding_a_held_one_waits_for_its_holder(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = move_to_vfio(host, GPU);
	struct writer writer = writer_make(), second = writer_make();

	(void)state;
	assert_int_equal(group_open(host, gpu->group, &other_process), 0);

	assert_int_equal(driver_unbind(host, gpu, gpu->driver, &writer_process, &writer.waiter),
			 HOST_PENDING);
	assert_int_equal(driver_unbind(host, gpu, gpu->driver, &writer_process, &second.waiter),
			 -ENODEV);
	assert_true(group_has_node(gpu->group));
	group_close(host, gpu->group->number, gpu->group->node_serial);

	assert_int_equal(writer.call_count, 1);
	assert_int_equal(writer.result, 0);
	assert_null(gpu->driver);
	assert_false(group_has_node(gpu->group));
}

static void the_unbinder_may_hold_the_node_itself(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = move_to_vfio(host, GPU);
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(group_open(host, gpu->group, &writer_process), 0);
	assert_int_equal(driver_unbind(host, gpu, gpu->driver, &writer_process, &writer.waiter), 0);

	assert_int_equal(steer(gpu, ""), 0);
	assert_int_equal(driver_probe(host, gpu), 0);
	assert_string_equal(gpu->driver, "nvidia");
}

static void gpus_may_share_a_group(void **state)
{
	scoped(host_free) struct host *host =
		host_make("l40s:2:passthrough:same-group,l40s:1:passthrough");
	const struct function *first = function_at(host, "0000:41:00.0");

	(void)state;
	assert_ptr_equal(first->group, function_at(host, "0000:61:00.0")->group);
	assert_ptr_not_equal(first->group, function_at(host, "0000:a1:00.0")->group);
}

static void a_host_driver_stays_out_of_a_group_in_use(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = move_to_vfio(host, GPU);
	struct function *audio = function_at(host, AUDIO);
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(driver_unbind(host, audio, audio->driver, &writer_process, &writer.waiter),
			 0);
	assert_int_equal(group_open(host, gpu->group, &other_process), 0);
	assert_int_equal(driver_probe(host, audio), -EINVAL);
	group_close(host, gpu->group->number, gpu->group->node_serial);
	assert_int_equal(driver_probe(host, audio), 0);
	assert_string_equal(audio->driver, "snd_hda_intel");
}

static void a_parent_without_its_driver_offers_no_types(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct function *vf = function_at(host, "0000:41:00.4");

	(void)state;
	assert_true(function_is_mdev_parent(vf));

	move_to_vfio(host, "0000:41:00.4");

	assert_false(function_is_mdev_parent(vf));
	assert_int_equal(create(host, "0000:41:00.4", "1Q"), -ENODEV);
}

static int unbind(struct host *host, const char *address, struct writer *writer)
{
	struct function *function = function_at(host, address);

	return driver_unbind(host, function, function->driver, &writer_process, &writer->waiter);
}

static void a_parent_that_loses_its_driver_loses_its_vgpus(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create(host, "0000:41:00.4", "1Q"), 0);
	assert_int_equal(create(host, "0000:41:00.5", "1Q"), 0);
	assert_int_equal(unbind(host, "0000:41:00.4", &writer), 0);

	assert_int_equal(host->gpus[0].vgpu_count, 1);
	assert_string_equal(BDF_STR(host->mdevs->parent->address), "0000:41:00.5");
}

static void a_held_vgpu_holds_its_parent_back(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct function *pf = function_at(host, "0000:41:00.0");
	struct writer writer = writer_make();
	struct group *group;

	(void)state;
	assert_int_equal(create(host, "0000:41:00.4", "1Q"), 0);
	assert_int_equal(create_text(host, "0000:41:00.5", "1Q", UUID("0001")), 0);
	group = host_find_uuid(host, UUID("0001"))->group;
	assert_int_equal(group_open(host, group, &other_process), 0);

	assert_int_equal(unbind(host, "0000:41:00.0", &writer), HOST_PENDING);
	assert_false(exists(host, "sys/bus/pci/devices/0000:41:00.0/driver"));
	assert_false(function_is_mdev_parent(function_at(host, "0000:41:00.6")));
	assert_int_equal(host->gpus[0].vgpu_count, 1);
	group_close(host, group->number, group->node_serial);

	assert_int_equal(writer.call_count, 1);
	assert_null(pf->driver);
	assert_null(host->mdevs);
	/* Its virtual functions went with the driver, and do not come back with it. */
	assert_false(exists(host, "sys/bus/pci/devices/0000:41:00.4"));
	expect_text(host, "sys/bus/pci/devices/0000:41:00.0/sriov_numvfs", "0\n");
	assert_int_equal(driver_probe(host, pf), 0);
	assert_false(exists(host, "sys/bus/pci/devices/0000:41:00.4"));
	assert_int_equal(hotplug_enable_vfs(host, pf->gpu), 0);
	assert_int_equal(hotplug_enable_vfs(host, pf->gpu), -EEXIST);
	assert_int_equal(create(host, "0000:41:00.4", "1Q"), 0);
}

static void an_open_gpu_node_holds_its_driver_back(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough,t4:1:passthrough");
	struct writer writer = writer_make();

	(void)state;
	assert_true(exists(host, "dev/nvidia0"));
	assert_int_equal(control_run(host, "hold nvidia0\nhold nvidia0"), 0);
	assert_int_equal(unbind(host, "0000:41:00.0", &writer), HOST_PENDING);
	assert_int_equal(control_run(host, "release nvidia0"), 0);
	assert_int_equal(writer.call_count, 0);
	assert_int_equal(control_run(host, "release nvidia0"), 0);

	assert_int_equal(writer.call_count, 1);
	assert_false(exists(host, "dev/nvidia0"));
	assert_true(exists(host, "dev/nvidia1"));
	assert_int_equal(driver_probe(host, function_at(host, "0000:41:00.0")), 0);
	assert_true(exists(host, "dev/nvidia0"));
}

static void a_node_that_came_back_does_not_feel_the_close_of_the_old(void **state)
{
	scoped(host_free) struct host *host = host_make("t4:1:passthrough");
	struct writer writer = writer_make();
	struct node old = at(host, "dev/nvidia0");

	(void)state;
	assert_non_null(tree_dev_gpu(host, old));
	assert_int_equal(unbind(host, "0000:41:00.0", &writer), 0);
	assert_int_equal(driver_probe(host, function_at(host, "0000:41:00.0")), 0);
	assert_null(tree_dev_gpu(host, old));
	assert_non_null(tree_dev_gpu(host, at(host, "dev/nvidia0")));
}

static void the_lock_of_a_device_is_held_while_its_unbind_blocks(void **state)
{
#define UNBIND "sys/bus/pci/drivers/nvidia/unbind"
#define PROBE  "sys/bus/pci/drivers_probe"
#define STEER  "sys/bus/pci/devices/0000:41:00.0/driver_override"
	scoped(host_free) struct host *host = host_make("t4:1:passthrough");
	struct writer unbinder = writer_make(), second = writer_make(), steerer = writer_make(),
		      prober = writer_make();

	(void)state;
	assert_int_equal(control_run(host, "hold nvidia0"), 0);
	assert_int_equal(store_as(host, UNBIND, "0000:41:00.0", &unbinder.waiter), HOST_PENDING);
	assert_int_equal(store_as(host, STEER, "vfio-pci", &steerer.waiter), HOST_PENDING);
	assert_int_equal(store_as(host, PROBE, "0000:41:00.0", &prober.waiter), HOST_PENDING);
	assert_int_equal(store_as(host, UNBIND, "0000:41:00.0", &second.waiter), HOST_PENDING);
	assert_int_equal(read_result(host, STEER), HOST_PENDING);
	/* Others, and what needs no lock, go on. */
	expect_text(host, "sys/bus/pci/devices/0000:41:00.0/vendor", "0x10de\n");

	assert_int_equal(control_run(host, "release nvidia0"), 0);

	assert_int_equal(unbinder.call_count, 1);
	assert_int_equal(steerer.call_count, 1);
	assert_int_equal(prober.call_count, 1);
	assert_int_equal(second.result, -ENODEV);
	assert_string_equal(function_at(host, "0000:41:00.0")->driver, "vfio-pci");
	expect_text(host, STEER, "vfio-pci\n");
}

static void new_id_gives_a_driver_what_has_none(void **state)
{
	scoped(host_free) struct host *host = host_make("t4:1:passthrough,l40s:1:passthrough");
	struct function *gpu = function_at(host, "0000:41:00.0");
	struct writer writer = writer_make();
#define NEW_ID	  "sys/bus/pci/drivers/vfio-pci/new_id"
#define REMOVE_ID "sys/bus/pci/drivers/vfio-pci/remove_id"

	(void)state;
	assert_int_equal(store(host, NEW_ID, "nonsense"), -EINVAL);
	assert_int_equal(store(host, NEW_ID, "10de"), -EINVAL);
	assert_int_equal(store(host, "sys/bus/pci/drivers/nvidia/new_id", "10de 1eb8"), -EEXIST);
	assert_int_equal(unbind(host, "0000:41:00.0", &writer), 0);
	assert_int_equal(store(host, NEW_ID, "10de 1eb8\n"), 0);
	assert_string_equal(gpu->driver, "vfio-pci");
	assert_string_equal(function_at(host, "0000:61:00.0")->driver, "nvidia");
	assert_int_equal(store(host, NEW_ID, "10de 1eb8"), -EEXIST);

	assert_int_equal(store(host, REMOVE_ID, "10de 1eb8"), 0);
	assert_int_equal(store(host, REMOVE_ID, "10de 1eb8"), -ENODEV);
	assert_string_equal(gpu->driver, "vfio-pci");
	assert_int_equal(unbind(host, "0000:41:00.0", &writer), 0);
	assert_int_equal(driver_probe(host, gpu), 0);
	assert_string_equal(gpu->driver, "nvidia");
}

static void a_function_is_reset_by_the_methods_it_has_left(void **state)
{
	scoped(host_free) struct host *host = host_make("t4:1:passthrough");
#define GPU_AT(file) "sys/bus/pci/devices/0000:41:00.0/" file

	(void)state;
	expect_text(host, GPU_AT("reset_method"), "flr bus\n");
	assert_int_equal(store(host, GPU_AT("reset_method"), "pm"), -EINVAL);
	assert_int_equal(store(host, GPU_AT("reset_method"), "fl"), -EINVAL);
	assert_int_equal(store(host, GPU_AT("reset_method"), "bus flr\n"), 0);
	expect_text(host, GPU_AT("reset_method"), "bus flr\n");
	assert_int_equal(store(host, GPU_AT("reset_method"), "\n"), 0);
	assert_int_equal(store(host, GPU_AT("reset"), "1"), -ENOTTY);
	assert_int_equal(store(host, GPU_AT("reset_method"), "default"), 0);
	assert_int_equal(store(host, GPU_AT("reset"), "2"), -EINVAL);
	assert_int_equal(store(host, GPU_AT("reset"), "1"), 0);
	assert_int_equal(host->functions[0].reset_count, 1);
}

static void vfio_pci_lets_an_unused_function_sleep(void **state)
{
	scoped(host_free) struct host *host = host_make("t4:1:passthrough");
	struct function *gpu;

	(void)state;
	expect_text(host, GPU_AT("power_state"), "D0\n");
	gpu = move_to_vfio(host, "0000:41:00.0");
	expect_text(host, GPU_AT("power_state"), "D3hot\n");
	assert_int_equal(group_open(host, gpu->group, &other_process), 0);
	expect_text(host, GPU_AT("power_state"), "D0\n");
}

static void an_override_has_an_end(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = function_at(host, GPU);
	char name[BOARD_WORD_SIZE + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(driver_set_override(gpu, name, BOARD_WORD_SIZE - 1), 0);
	assert_int_equal(driver_set_override(gpu, name, BOARD_WORD_SIZE), -EINVAL);
	assert_int_equal(strlen(gpu->override), BOARD_WORD_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_gpu_shares_its_group_with_its_audio_function),
		cmocka_unit_test(vfio_pci_brings_the_node_and_takes_it_away),
		cmocka_unit_test(probing_finds_no_driver_and_says_nothing),
		cmocka_unit_test(bind_wants_a_driver_that_matches),
		cmocka_unit_test(a_driver_refuses_what_is_not_its_hardware),
		cmocka_unit_test(unbinding_a_held_one_waits_for_its_holder),
		cmocka_unit_test(the_unbinder_may_hold_the_node_itself),
		cmocka_unit_test(gpus_may_share_a_group),
		cmocka_unit_test(a_host_driver_stays_out_of_a_group_in_use),
		cmocka_unit_test(a_parent_without_its_driver_offers_no_types),
		cmocka_unit_test(a_parent_that_loses_its_driver_loses_its_vgpus),
		cmocka_unit_test(a_held_vgpu_holds_its_parent_back),
		cmocka_unit_test(an_open_gpu_node_holds_its_driver_back),
		cmocka_unit_test(a_node_that_came_back_does_not_feel_the_close_of_the_old),
		cmocka_unit_test(the_lock_of_a_device_is_held_while_its_unbind_blocks),
		cmocka_unit_test(new_id_gives_a_driver_what_has_none),
		cmocka_unit_test(a_function_is_reset_by_the_methods_it_has_left),
		cmocka_unit_test(vfio_pci_lets_an_unused_function_sleep),
		cmocka_unit_test(an_override_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
