/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of records and devices after a crash at any point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "gpu-agent/serve/clock.h"
#include "gpu-agent/serve/recovery.h"

static struct fixture fixture;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_done(&fixture);
	return 0;
}

static void the_decision_table_is_as_written(void **state)
{
	static const struct {
		enum allocation_state state;
		enum presence device;
		bool quiet;
		enum recovery_action action;
	} cases[] = {
		{ ALLOCATION_CREATING, PRESENCE_PRESENT, true, RECOVERY_UNDO },
		{ ALLOCATION_CREATING, PRESENCE_PRESENT, false, RECOVERY_UNDO },
		{ ALLOCATION_CREATING, PRESENCE_ABSENT, true, RECOVERY_FORGET },
		{ ALLOCATION_CREATING, PRESENCE_ABSENT, false, RECOVERY_KEEP },
		{ ALLOCATION_READY, PRESENCE_PRESENT, true, RECOVERY_KEEP },
		{ ALLOCATION_READY, PRESENCE_ABSENT, false, RECOVERY_CLOSE },
		{ ALLOCATION_RELEASING, PRESENCE_PRESENT, false, RECOVERY_RELEASE },
		{ ALLOCATION_RELEASING, PRESENCE_ABSENT, true, RECOVERY_CLOSE },
		{ ALLOCATION_CLOSED, PRESENCE_PRESENT, true, RECOVERY_RELEASE },
		{ ALLOCATION_UNDONE, PRESENCE_PRESENT, true, RECOVERY_UNDO },
		{ ALLOCATION_CREATING, PRESENCE_UNKNOWN, true, RECOVERY_KEEP },
		{ ALLOCATION_READY, PRESENCE_UNKNOWN, true, RECOVERY_KEEP },
		{ ALLOCATION_RELEASING, PRESENCE_UNKNOWN, true, RECOVERY_KEEP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(recovery_decide(cases[i].state, cases[i].device, cases[i].quiet),
				 cases[i].action);
}

/* ---- Crashes at every step -------------------------------------------------------------- */

/* A row as an earlier life left it, and its device in the kernel if asked for. */
static struct allocation plant(enum allocation_state state, bool device, bool in_journal)
{
	struct create_request request = fixture_request(1, "L40S-1Q");
	struct allocation row = {
		.sequence = 41,
		.state = state,
		.profile = "L40S-1Q",
		.type = "nvidia-1147",
		.principal = "instance-svc",
		.framebuffer_mb = 1024,
		.slot = fake_vf_address(0, 3),
		.gpu = fake_gpu_address(0),
		.iommu_group = 100,
		.grant_gid = request.grant_gid,
		.boot_id = "an earlier one",
		.owner = "vm",
	};
	struct err err;

	fake_uuid(row.id, 500);
	memcpy(row.request_id, request.request_id, sizeof(row.request_id));
	assert_int_equal(records_add(fixture.records, &row, &err), 0);
	if (state == ALLOCATION_UNDONE)
		assert_int_equal(records_undo(fixture.records, row.id, &err), 0);
	if (device) {
		assert_int_equal(fake_kernel_create(&fixture.monitor.kernel, 0, 3,
						    fake_type_find(row.type), row.id),
				 0);
		fixture.monitor.kernel.mdevs[0][3].in_journal = in_journal;
	}
	fixture_restart(&fixture);
	return row;
}

static bool exists(const struct allocation *row)
{
	struct fake_kernel kernel = fake_monitor_kernel(&fixture.monitor);

	return fake_kernel_find(&kernel, row->id) != NULL;
}

static enum allocation_state state_of(const struct allocation *row)
{
	struct allocation found;
	struct err err;

	assert_int_equal(records_find(fixture.records, row->id, &found, &err), 1);
	return found.state;
}

/* Whether the request that it was made for may create (again). */
static int ask_again(struct err *err)
{
	struct create_request request = fixture_request(1, "L40S-1Q");
	struct allocation allocation;

	return allocator_create(fixture.agent, &request, &allocation, err);
}

static void killed_after_the_intent_it_is_forgotten(void **state)
{
	struct allocation row = plant(ALLOCATION_CREATING, false, false);
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(state_of(&row), ALLOCATION_UNDONE);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(ask_again(&err), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void killed_after_the_kernels_create_it_is_undone(void **state)
{
	struct allocation row = plant(ALLOCATION_CREATING, true, true);
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_false(exists(&row));
	assert_int_equal(state_of(&row), ALLOCATION_UNDONE);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
	assert_int_equal(ask_again(&err), 0);
}

static void killed_after_the_commit_it_stays(void **state)
{
	struct allocation row = plant(ALLOCATION_READY, true, true);

	(void)state;
	fixture_scan(&fixture);
	assert_true(exists(&row));
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
}

static void killed_during_a_release_it_is_finished(void **state)
{
	struct allocation row = plant(ALLOCATION_RELEASING, true, true);
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_false(exists(&row));
	assert_int_equal(state_of(&row), ALLOCATION_CLOSED);
	assert_int_equal(ask_again(&err), -1);
	assert_int_equal(err.reason, ERR_ALLOCATION_DELETED);
}

static void killed_after_the_kernels_remove_it_is_closed(void **state)
{
	struct allocation row = plant(ALLOCATION_RELEASING, false, false);

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(state_of(&row), ALLOCATION_CLOSED);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
}

static void after_a_reboot_what_was_ready_is_closed(void **state)
{
	struct allocation row = plant(ALLOCATION_READY, false, false);

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(state_of(&row), ALLOCATION_CLOSED);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

static void a_device_of_an_undone_create_that_comes_late_is_removed(void **state)
{
	struct allocation row = plant(ALLOCATION_UNDONE, true, true);

	(void)state;
	fixture_scan(&fixture);
	assert_false(exists(&row));
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

/* Numbers only grow, and those that are live are walked by number. */
static void one_that_comes_after_younger_allocations_is_removed_too(void **state)
{
	struct allocation row = plant(ALLOCATION_UNDONE, false, false);
	struct allocation younger;
	struct create_request request = fixture_request(2, "L40S-1Q");
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(allocator_create(fixture.agent, &request, &younger, &err), 0);
	assert_true(younger.sequence > row.sequence);
	assert_int_equal(
		fake_kernel_create(&fixture.monitor.kernel, 0, 3, fake_type_find(row.type), row.id),
		0);
	fixture.monitor.kernel.mdevs[0][3].in_journal = true;
	fixture_scan(&fixture);
	assert_false(exists(&row));
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void a_device_of_a_closed_allocation_is_removed(void **state)
{
	struct allocation row = plant(ALLOCATION_CLOSED, true, true);

	(void)state;
	fixture_scan(&fixture);
	assert_false(exists(&row));
	assert_int_equal(state_of(&row), ALLOCATION_CLOSED);
}

static void a_device_without_a_record_is_foreign_even_if_root_made_it(void **state)
{
	char uuid[OPS_UUID_SIZE];
	struct fake_kernel kernel;

	(void)state;
	fake_uuid(uuid, 77);
	assert_int_equal(fake_kernel_create(&fixture.monitor.kernel, 0, 0, 1, uuid), 0);
	fixture.monitor.kernel.mdevs[0][0].in_journal = true;
	fixture_scan(&fixture);
	kernel = fake_monitor_kernel(&fixture.monitor);
	assert_non_null(fake_kernel_find(&kernel, uuid));
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
}

/* Workers that end at the worst moment, with the agent going on. */
static void a_worker_killed_before_or_after_the_create_leaks_nothing(void **state)
{
	static const enum fake_fault faults[] = { FAULT_DIE_BEFORE, FAULT_DIE_AFTER };
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	for (size_t i = 0; i < 2; i++) {
		fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, faults[i], 1);
		assert_int_equal(ask_again(&err), -1);
		assert_int_equal(err.reason, ERR_DEVICE_NOT_RESPONDING);
		fixture_scan(&fixture);
		assert_int_equal(fixture_check_no_leak(&fixture), 0);
	}
	assert_int_equal(ask_again(&err), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void a_crash_while_a_worker_is_stuck_leaks_nothing_once_it_is_free(void **state)
{
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_HANG_BEFORE, 1);
	assert_int_equal(ask_again(&err), -1);
	fixture_restart(&fixture);
	fixture_scan(&fixture); /* nothing can be decided */
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	fake_monitor_unstick(&fixture.monitor);
	fixture_scan(&fixture);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
}

static void create_and_hang(unsigned number)
{
	struct create_request request = fixture_request(number, "L40S-48Q"); /* a GPU each */
	struct allocation allocation;
	struct err err;

	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_HANG_BEFORE, 1);
	assert_int_equal(allocator_create(fixture.agent, &request, &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_DEVICE_NOT_RESPONDING);
}

static unsigned wedged(void)
{
	struct host_view *view;
	unsigned count = 0;
	struct err err;

	assert_int_equal(agent_get_view(fixture.agent, &view, &err), 0);
	for (size_t i = 0; i < view->condition_count; i++)
		count += view->conditions[i].kind == SLOT_WEDGED;
	host_view_unref(view);
	return count;
}

static void each_slot_waits_for_its_own_worker_only(void **state)
{
	(void)state;
	fixture_scan(&fixture);
	create_and_hang(1);
	create_and_hang(2);
	fixture_scan(&fixture);
	assert_int_equal(wedged(), 2);
	assert_int_equal(fixture_available(&fixture, "L40S-48Q"), 0);

	/* The kernel creates it after all, and it is removed. */
	fake_monitor_unstick_slot(&fixture.monitor, fake_vf_address(1, 0));
	fixture_scan(&fixture);
	assert_int_equal(fake_monitor_stuck(&fixture.monitor), 1);
	assert_int_equal(wedged(), 1);
	fixture_scan(&fixture);
	assert_int_equal(fixture_available(&fixture, "L40S-48Q"), 1);

	fake_monitor_unstick(&fixture.monitor);
	fixture_scan(&fixture);
	assert_int_equal(wedged(), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

/* Of a write that does nothing when it goes on. */
static void a_slot_is_free_when_its_own_worker_is_gone(void **state)
{
	(void)state;
	fixture_scan(&fixture);
	create_and_hang(1);
	create_and_hang(2);
	fake_kernel_create(&fixture.monitor.kernel, 1, 0, fake_type_find("nvidia-1147"), "foreign");
	fake_monitor_unstick_slot(&fixture.monitor, fake_vf_address(1, 0));
	assert_true(fake_kernel_remove(&fixture.monitor.kernel, "foreign"));

	fixture_scan(&fixture);
	assert_int_equal(fixture.agent->lease_count, 1);
	assert_int_equal(wedged(), 1);
}

/* Whose worker is whose, nobody knows any more. */
static void what_an_earlier_life_left_waits_for_its_workers(void **state)
{
	(void)state;
	fixture_scan(&fixture);
	create_and_hang(1);
	create_and_hang(2);
	fixture_restart(&fixture);
	fixture_scan(&fixture);
	assert_int_equal(fixture.agent->lease_count, 2);

	fake_monitor_unstick_slot(&fixture.monitor, fake_vf_address(1, 0));
	fixture_scan(&fixture);
	assert_int_equal(fixture.agent->lease_count, 1);

	fake_monitor_unstick(&fixture.monitor);
	fixture_scan(&fixture);
	assert_int_equal(fixture.agent->lease_count, 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

/* A worker of this serve that is stuck elsewhere keeps nothing of an earlier one waiting. */
static void what_an_earlier_life_left_waits_for_no_younger_worker(void **state)
{
	struct allocation row = plant(ALLOCATION_CREATING, false, false);

	(void)state;
	fake_monitor_hang_gpu(&fixture.monitor, 1);
	fixture.agent->options.scan_timeout_ms = 300;
	fixture_scan(&fixture);

	assert_int_equal(fake_monitor_stuck(&fixture.monitor), 1);
	assert_int_equal(state_of(&row), ALLOCATION_UNDONE);
	fake_monitor_hang_gpu(&fixture.monitor, -1);
}

static void removal_in_the_background_goes_on_until_the_holder_is_gone(void **state)
{
	struct allocation row = plant(ALLOCATION_RELEASING, true, true);

	(void)state;
	fake_monitor_fail(&fixture.monitor, OP_REMOVE_MDEV, FAULT_IN_USE, 2);
	fixture_scan(&fixture);
	fixture_scan(&fixture);
	assert_true(exists(&row));
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	fixture_scan(&fixture);
	assert_false(exists(&row));
	assert_int_equal(state_of(&row), ALLOCATION_CLOSED);
}

/* Of a worker that outlived its monitor, say, whose own removal is about to end. */
static void a_release_that_somebody_holds_up_is_looked_at_again_soon(void **state)
{
	struct allocation row = plant(ALLOCATION_RELEASING, true, true);
	int64_t due_ms;

	(void)state;
	fake_monitor_fail(&fixture.monitor, OP_REMOVE_MDEV, FAULT_IN_USE, 1);
	fixture_scan(&fixture);
	assert_int_equal(state_of(&row), ALLOCATION_RELEASING);
	due_ms = fixture.agent->scan_due_ms - clock_monotonic_ms();
	assert_true(due_ms <= 2000);
}

static void *scan_once(void *argument)
{
	(void)argument;
	fixture_scan(&fixture);
	return NULL;
}

/* Such a scan has read the host before the create, and is published after it. */
static void a_slow_scan_that_missed_a_create_closes_nothing(void **state)
{
	pthread_t thread;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_SCAN, FAULT_HANG_AFTER, 1);
	assert_int_equal(pthread_create(&thread, NULL, scan_once, NULL), 0);
	fake_monitor_wait_stuck(&fixture.monitor);
	assert_int_equal(ask_again(&err), 0);
	fake_monitor_unstick(&fixture.monitor);
	pthread_join(thread, NULL);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);

	fixture_scan(&fixture);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void the_catalogue_is_kept_across_restarts(void **state)
{
	struct catalogue catalogue = { 0 };
	const struct board l40s = { 0x10de, 0x26b9, 0x10de, 0 };
	const struct catalogue_type *type;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fixture_restart(&fixture);
	assert_int_equal(records_load_catalogue(fixture.records, &catalogue, &err), 0);
	type = catalogue_find(&catalogue, l40s, "1150");
	assert_non_null(type);
	assert_string_equal(type->name, "L40S-4Q");
	assert_int_equal(type->framebuffer_mb, 4096);
	assert_int_equal(type->max_instance, 12);
	catalogue_done(&catalogue);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_decision_table_is_as_written),
		TEST(killed_after_the_intent_it_is_forgotten),
		TEST(killed_after_the_kernels_create_it_is_undone),
		TEST(killed_after_the_commit_it_stays),
		TEST(killed_during_a_release_it_is_finished),
		TEST(killed_after_the_kernels_remove_it_is_closed),
		TEST(after_a_reboot_what_was_ready_is_closed),
		TEST(a_device_of_an_undone_create_that_comes_late_is_removed),
		TEST(one_that_comes_after_younger_allocations_is_removed_too),
		TEST(a_device_of_a_closed_allocation_is_removed),
		TEST(a_device_without_a_record_is_foreign_even_if_root_made_it),
		TEST(a_worker_killed_before_or_after_the_create_leaks_nothing),
		TEST(a_crash_while_a_worker_is_stuck_leaks_nothing_once_it_is_free),
		TEST(each_slot_waits_for_its_own_worker_only),
		TEST(a_slot_is_free_when_its_own_worker_is_gone),
		TEST(what_an_earlier_life_left_waits_for_its_workers),
		TEST(what_an_earlier_life_left_waits_for_no_younger_worker),
		TEST(removal_in_the_background_goes_on_until_the_holder_is_gone),
		TEST(a_release_that_somebody_holds_up_is_looked_at_again_soon),
		TEST(a_slow_scan_that_missed_a_create_closes_nothing),
		TEST(the_catalogue_is_kept_across_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
