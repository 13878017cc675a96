/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include "driver.h"

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
	assert_int_equal(driver_unbind(function, function->driver, &writer_process, &writer.waiter),
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
	assert_int_equal(driver_unbind(gpu, gpu->driver, &writer_process, &writer.waiter), 0);
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
	assert_int_equal(driver_unbind(gpu, gpu->driver, &writer_process, &writer.waiter), 0);
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
	assert_int_equal(driver_unbind(gpu, vfio, &writer_process, &writer.waiter), -ENODEV);
	assert_int_equal(driver_unbind(gpu, nvidia, &writer_process, &writer.waiter), 0);
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
	assert_int_equal(driver_unbind(gpu, gpu->driver, &writer_process, &writer.waiter), 0);
	assert_int_equal(driver_probe(host, gpu), -EINVAL);
	assert_null(gpu->driver);
}

static void unbinding_a_held_one_waits_for_its_holder(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = move_to_vfio(host, GPU);
	struct writer writer = writer_make(), second = writer_make();

	(void)state;
	assert_int_equal(group_open(gpu->group, &other_process), 0);

	assert_int_equal(driver_unbind(gpu, gpu->driver, &writer_process, &writer.waiter),
			 HOST_PENDING);
	assert_int_equal(driver_unbind(gpu, gpu->driver, &writer_process, &second.waiter), -ENODEV);
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
	assert_int_equal(group_open(gpu->group, &writer_process), 0);
	assert_int_equal(driver_unbind(gpu, gpu->driver, &writer_process, &writer.waiter), 0);

	assert_int_equal(steer(gpu, ""), 0);
	assert_int_equal(driver_probe(host, gpu), 0);
	assert_string_equal(gpu->driver, "nvidia");
}

static void a_host_driver_stays_out_of_a_group_in_use(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1:passthrough@" GPU);
	struct function *gpu = move_to_vfio(host, GPU);
	struct function *audio = function_at(host, AUDIO);
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(driver_unbind(audio, audio->driver, &writer_process, &writer.waiter), 0);
	assert_int_equal(group_open(gpu->group, &other_process), 0);
	assert_int_equal(driver_probe(host, audio), -EINVAL);
	group_close(host, gpu->group->number, gpu->group->node_serial);
	assert_int_equal(driver_probe(host, audio), 0);
	assert_string_equal(audio->driver, "snd_hda_intel");
}

static void a_parent_without_its_driver_offers_no_types(void **state)
{
	scoped(host_free) struct host *host = host_make("l40s:1");
	struct function *vf = function_at(host, "0000:41:00.4");
	struct writer writer = writer_make();

	(void)state;
	assert_int_equal(create(host, "0000:41:00.5", "1Q"), 0);
	assert_int_equal(driver_unbind(function_at(host, "0000:41:00.5"), vf->driver,
				       &writer_process, &writer.waiter),
			 -EBUSY);
	assert_int_equal(driver_unbind(function_at(host, "0000:41:00.0"), vf->driver,
				       &writer_process, &writer.waiter),
			 -EBUSY);
	assert_true(function_is_mdev_parent(vf));

	move_to_vfio(host, "0000:41:00.4");

	assert_false(function_is_mdev_parent(vf));
	assert_int_equal(create(host, "0000:41:00.4", "1Q"), -ENODEV);
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
		cmocka_unit_test(a_host_driver_stays_out_of_a_group_in_use),
		cmocka_unit_test(a_parent_without_its_driver_offers_no_types),
		cmocka_unit_test(an_override_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
