/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs for which the kernel does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "gpu-agent/serve/clock.h"
#include "gpu-agent/serve/recovery.h"

#define SCAN_TIMEOUT_MS 300

static struct host_view *view_of(struct fixture *fixture)
{
	struct host_view *view;
	struct err err;

	assert_int_equal(agent_get_view(fixture->agent, &view, &err), 0);
	return view;
}

static bool is_suspect(struct fixture *fixture, size_t gpu)
{
	struct host_view *view = view_of(fixture);
	bool suspect = gpu < view->gpu_count && view->gpus[gpu].suspect;

	host_view_unref(view);
	return suspect;
}

static struct allocation create(struct fixture *fixture, unsigned number)
{
	struct create_request request = fixture_request(number, "L40S-4Q");
	struct allocation allocation;
	struct err err;

	assert_int_equal(allocator_create(fixture->agent, &request, &allocation, &err), 0);
	return allocation;
}

static void scan_past_a_hung_gpu(struct fixture *fixture, int gpu)
{
	fake_monitor_hang_gpu(&fixture->monitor, gpu);
	fixture->agent->options.scan_timeout_ms = SCAN_TIMEOUT_MS;
	fixture_scan(fixture);
}

/* The kernel goes on: the worker that waits for it comes back. */
static void answer_again(struct fixture *fixture)
{
	struct agent *agent = fixture->agent;

	fake_monitor_hang_gpu(&fixture->monitor, -1);
	fake_monitor_unstick(&fixture->monitor);
	pthread_mutex_lock(&agent->lock);
	while (agent->suspect_count)
		(void)agent_wait_locked(agent, clock_monotonic_ms() + 1000);
	pthread_mutex_unlock(&agent->lock);
	fixture_scan(fixture);
}

static void a_gpu_that_hangs_hides_only_itself(void **state)
{
	struct fixture fixture;
	struct allocation kept, other;
	struct host_view *view;
	struct err err;

	(void)state;
	fixture_init(&fixture);
	fixture_scan(&fixture);
	kept = create(&fixture, 1);
	scan_past_a_hung_gpu(&fixture, 0);
	other = create(&fixture, 2);
	view = view_of(&fixture);

	assert_true(view->gpus[0].suspect);
	assert_string_equal(view->gpus[0].name, "NVIDIA L40S");
	assert_int_equal(view->gpus[0].used_slots, 1);
	assert_false(view->gpus[1].suspect);
	assert_int_equal(fixture_available(&fixture, "L40S-4Q"), 11);
	assert_int_equal(pci_addr_compare(kept.gpu, fake_gpu_address(0)), 0);
	assert_int_equal(pci_addr_compare(other.gpu, fake_gpu_address(1)), 0);
	assert_int_equal(allocator_delete(fixture.agent, NULL, kept.id, &err), -1);
	assert_int_equal(err.reason, ERR_DEVICE_NOT_RESPONDING);
	host_view_unref(view);

	answer_again(&fixture);
	assert_false(is_suspect(&fixture, 0));
	assert_int_equal(fixture_available(&fixture, "L40S-4Q"), 22);
	assert_int_equal(allocator_delete(fixture.agent, NULL, kept.id, &err), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
	fixture_done(&fixture);
}

static void nothing_is_concluded_of_one_that_was_never_seen(void **state)
{
	struct fixture fixture;
	struct host_view *view;

	(void)state;
	fixture_init(&fixture);
	fixture_scan(&fixture);
	(void)create(&fixture, 1);
	fixture_restart(&fixture);
	scan_past_a_hung_gpu(&fixture, 0);
	view = view_of(&fixture);

	assert_int_equal(view->gpu_count, 2);
	assert_true(view->gpus[0].suspect);
	assert_int_equal(pci_addr_compare(view->gpus[0].address, fake_gpu_address(0)), 0);
	assert_int_equal(view->gpus[0].framework, FRAMEWORK_UNKNOWN);
	assert_int_equal(view->gpus[0].total_slots, 0);
	assert_string_equal(view->gpus[0].reason,
			    "the kernel has not answered for it: what it offers is not known");
	assert_int_equal(view->mode, HOST_MODE_VGPU);
	assert_int_equal(view->total_slots, 32);
	assert_int_equal(fixture.agent->lease_count, 1);
	assert_int_equal(fixture.agent->leases[0]->allocation.state, ALLOCATION_READY);
	host_view_unref(view);
	fixture_scan(&fixture); /* what is not known stays so */
	assert_true(is_suspect(&fixture, 0));

	answer_again(&fixture);
	assert_false(is_suspect(&fixture, 0));
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
	fixture_done(&fixture);
}

static void what_the_kernel_knows_of_one_that_was_never_seen_is_told(void **state)
{
	static const struct {
		uint32_t class_code;
		size_t listed;
	} rows[] = { { 0x030200, 2 }, { 0x020000, 1 } }; /* a GPU, a network card */

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture fixture;
		struct host_view *view;

		fixture_init(&fixture);
		fixture.monitor.hung_class = rows[i].class_code;
		scan_past_a_hung_gpu(&fixture, 1);
		view = view_of(&fixture);
		assert_int_equal(view->gpu_count, rows[i].listed);
		if (rows[i].listed == 2)
			assert_int_equal(view->gpus[1].vendor, 0x10de);
		host_view_unref(view);
		answer_again(&fixture);
		fixture_done(&fixture);
	}
}

/* Two workers for one GPU, however many scans there are. */
static void it_costs_no_more_workers_than_two(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture);
	fixture_scan(&fixture);
	scan_past_a_hung_gpu(&fixture, 1);
	for (int i = 0; i < 5; i++)
		fixture_scan(&fixture);

	assert_true(is_suspect(&fixture, 1));
	assert_int_equal(fake_monitor_stuck(&fixture.monitor), 1);
	pthread_mutex_lock(&fixture.monitor.lock);
	assert_in_range(fixture.monitor.hanging, 1, 2);
	pthread_mutex_unlock(&fixture.monitor.lock);
	answer_again(&fixture);
	fixture_done(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gpu_that_hangs_hides_only_itself),
		cmocka_unit_test(nothing_is_concluded_of_one_that_was_never_seen),
		cmocka_unit_test(what_the_kernel_knows_of_one_that_was_never_seen_is_told),
		cmocka_unit_test(it_costs_no_more_workers_than_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
