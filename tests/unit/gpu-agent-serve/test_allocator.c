/* SPDX-License-Identifier: Apache-2.0 */
/* Create, delete and list on a fake monitor that fails in the ways the real one does. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "gpu-agent/serve/quarantine.h"
#include "gpu-agent/serve/recovery.h"
#include "gpu-agent/serve/scanner.h"

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

static int create(unsigned number, const char *profile, struct allocation *ret, struct err *err)
{
	struct create_request request = fixture_request(number, profile);

	return allocator_create(fixture.agent, &request, ret, err);
}

static int list_count(const char *principal)
{
	struct allocation *list = NULL;
	bool more;
	int count = allocator_list(fixture.agent, principal, 0, 1000, &list, &more);

	free(list);
	return count;
}

/* ---- What is promised ---------------------------------------------------------------- */

static void before_the_first_scan_nothing_is_claimed(void **state)
{
	struct allocation allocation;
	struct host_view *view;
	struct err err;

	(void)state;
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_INVENTORY_NOT_READY);
	assert_int_equal(agent_get_view(fixture.agent, &view, &err), -1);
	assert_int_equal(err.reason, ERR_INVENTORY_NOT_READY);
}

static void a_create_makes_records_grants_and_counts(void **state)
{
	struct allocation allocation;
	struct err err;
	struct fake_kernel kernel;
	struct fake_mdev *mdev;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);

	kernel = fake_monitor_kernel(&fixture.monitor);
	mdev = fake_kernel_find(&kernel, allocation.id);
	assert_non_null(mdev);
	assert_int_equal(allocation.state, ALLOCATION_READY);
	assert_int_equal(allocation.iommu_group, mdev->group);
	assert_int_equal(fixture.monitor.granted_gid, 200001);
	assert_string_equal(allocation.profile, "L40S-1Q");
	assert_int_equal(allocation.framebuffer_mb, 1024);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	assert_int_equal(fixture_available(&fixture, "L40S-2Q"), 24);
	assert_int_equal(fixture_available(&fixture, "L40S-4Q"), 12);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void a_delete_removes_it_and_its_request_never_creates_again(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
	assert_int_equal(allocator_delete(fixture.agent, "instance-svc", allocation.id, &err), 0);

	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
	assert_int_equal(fixture_available(&fixture, "L40S-4Q"), 24);
	assert_int_equal(allocator_delete(fixture.agent, "instance-svc", allocation.id, &err), 0);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_ALLOCATION_DELETED);
	fixture_restart(&fixture);
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_ALLOCATION_DELETED);
}

static void the_same_request_returns_the_same_allocation(void **state)
{
	struct allocation first, second;
	struct create_request other = fixture_request(1, "L40S-2Q");
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &first, &err), 0);
	assert_int_equal(create(1, "L40S-1Q", &second, &err), 0);
	assert_string_equal(first.id, second.id);
	fixture_restart(&fixture);
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &second, &err), 0);
	assert_string_equal(first.id, second.id);

	assert_int_equal(allocator_create(fixture.agent, &other, &second, &err), -1);
	assert_int_equal(err.reason, ERR_REQUEST_ID_REUSED);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void principals_see_only_their_own(void **state)
{
	struct allocation mine, theirs;
	struct create_request request = fixture_request(1, "L40S-1Q");
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(allocator_create(fixture.agent, &request, &mine, &err), 0);
	strcpy(request.principal, "controller");
	assert_int_equal(allocator_create(fixture.agent, &request, &theirs, &err), 0);

	assert_string_not_equal(mine.id, theirs.id);
	assert_int_equal(list_count("controller"), 1);
	assert_int_equal(list_count(NULL), 2);
	assert_int_equal(allocator_delete(fixture.agent, "controller", mine.id, &err), -1);
	assert_int_equal(err.reason, ERR_ALLOCATION_NOT_FOUND);
	assert_int_equal(allocator_delete(fixture.agent, NULL, mine.id, &err), 0);
	assert_int_equal(allocator_delete(fixture.agent, "controller", mine.id, &err), -1);
	assert_int_equal(err.reason, ERR_ALLOCATION_NOT_FOUND);
}

static void lists_come_in_pages_oldest_first(void **state)
{
	struct allocation allocation, *page = NULL;
	struct err err;
	bool more;

	(void)state;
	fixture_scan(&fixture);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(create(i, "L40S-1Q", &allocation, &err), 0);

	assert_int_equal(allocator_list(fixture.agent, NULL, 0, 3, &page, &more), 3);
	assert_true(more);
	assert_true(page[0].sequence < page[1].sequence && page[1].sequence < page[2].sequence);
	allocation = page[2];
	free(page);
	assert_int_equal(allocator_list(fixture.agent, NULL, allocation.sequence, 3, &page, &more),
			 2);
	assert_false(more);
	assert_true(page[0].sequence > allocation.sequence);
	free(page);
}

static void an_unknown_profile_is_refused_with_the_known_ones(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "H100-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_UNKNOWN_PROFILE);
	assert_string_equal(err.field, "vgpu.profile");
	assert_non_null(strstr(err.message, ": L40S-1Q, L40S-2Q,"));
	assert_non_null(strstr(err.message, ", L40S-48Q"));
}

static void a_full_host_refuses_with_a_reason_for_each_gpu(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	for (unsigned i = 1; i <= 24; i++)
		assert_int_equal(create(i, "L40S-4Q", &allocation, &err), 0);
	assert_int_equal(create(25, "L40S-4Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_INSUFFICIENT_CAPACITY);
	assert_int_equal(err.detail_count, 2);
	assert_string_equal(err.details[0].type, "full");
	assert_int_equal(fixture_check_no_leak(&fixture), 24);
}

/* ---- Many at once -------------------------------------------------------------------- */

struct racer {
	pthread_t thread;
	unsigned number;
	int result;
	struct allocation allocation;
	struct err err;
};

static void *race(void *argument)
{
	struct racer *racer = argument;

	racer->result = create(racer->number, "L40S-1Q", &racer->allocation, &racer->err);
	return NULL;
}

static void run_racers(struct racer *racers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (size_t i = 0; i < count; i++)
		pthread_join(racers[i].thread, NULL);
}

static void seventy_at_once_get_sixty_four_slots(void **state)
{
	static struct racer racers[70];
	int won = 0;

	(void)state;
	fixture_start_threads(&fixture);
	for (unsigned i = 0; i < 70; i++)
		racers[i].number = i + 1;
	run_racers(racers, 70);
	for (size_t i = 0; i < 70; i++) {
		won += racers[i].result == 0;
		if (racers[i].result)
			assert_int_equal(racers[i].err.reason, ERR_INSUFFICIENT_CAPACITY);
	}
	assert_int_equal(won, 64);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 64);
}

static void one_request_sent_eight_times_at_once_creates_one(void **state)
{
	static struct racer racers[8];

	(void)state;
	fixture_start_threads(&fixture);
	fixture.monitor.delay_ms = 50;
	for (unsigned i = 0; i < 8; i++)
		racers[i].number = 1;
	run_racers(racers, 8);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(racers[i].result, 0);
		assert_string_equal(racers[i].allocation.id, racers[0].allocation.id);
	}
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

/* ---- When things go wrong -------------------------------------------------------------- */

static void a_refusal_by_the_driver_is_tried_on_another_slot(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_start_threads(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_KERNEL, 1);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void a_driver_that_always_refuses_is_reported(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_start_threads(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_KERNEL, 3);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "Input/output error"));
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0); /* never succeeded: free */
}

static void three_refusals_in_a_row_end_the_use_of_a_slot(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	for (int i = 0; i < 3; i++)
		quarantine_judge(fixture.agent, fake_vf_address(0, 0), "no");
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	for (unsigned i = 1; i <= 63; i++)
		assert_int_equal(create(i, "L40S-1Q", &allocation, &err), 0);
	assert_int_equal(create(64, "L40S-1Q", &allocation, &err), -1);
	assert_non_null(strstr(err.details[0].message, "0000:41:00.4 is not used"));
}

static void a_grant_that_policy_forbids_undoes_the_create(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fixture.monitor.refused_gid = 200001;
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.field, "grant_gid");
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
}

static void an_unverified_device_is_removed_again(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_UNVERIFIED, 1);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_INTERNAL);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

static void without_a_worker_nothing_is_recorded(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_NO_WORKER, 1);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
}

static void a_device_in_use_stays_and_its_holder_is_named(void **state)
{
	struct allocation allocation;
	struct err err;
	unsigned grants;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
	grants = fake_monitor_runs(&fixture.monitor, OP_GRANT_NODE);
	fake_monitor_fail(&fixture.monitor, OP_REMOVE_MDEV, FAULT_IN_USE, 1);
	assert_int_equal(allocator_delete(fixture.agent, "instance-svc", allocation.id, &err), -1);

	assert_int_equal(err.reason, ERR_ALLOCATION_IN_USE);
	assert_non_null(strstr(err.message, "pid 4711 (qemu-system-x86)"));
	assert_int_equal(fake_monitor_runs(&fixture.monitor, OP_GRANT_NODE), grants + 1);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
	assert_int_equal(allocator_delete(fixture.agent, "instance-svc", allocation.id, &err), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

static void a_kernel_that_lets_go_late_is_waited_for(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
	fake_monitor_fail(&fixture.monitor, OP_REMOVE_MDEV, FAULT_LATE, 2);
	assert_int_equal(allocator_delete(fixture.agent, "instance-svc", allocation.id, &err), 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
}

/* Reads and other GPUs go on; the slot is not given again; the device is undone when seen. */
static void a_create_that_hangs_is_set_aside_until_a_scan_tells(void **state)
{
	struct allocation hung, other;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_HANG_BEFORE, 1);
	assert_int_equal(create(1, "L40S-1Q", &hung, &err), -1);
	assert_int_equal(err.reason, ERR_DEVICE_NOT_RESPONDING);
	assert_int_equal(create(1, "L40S-1Q", &hung, &err), -1);
	assert_int_equal(err.reason, ERR_DEVICE_NOT_RESPONDING);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	assert_int_equal(create(2, "L40S-1Q", &other, &err), 0);
	assert_int_equal(other.gpu.bus, 0x61); /* not the GPU that hangs */

	fixture_scan(&fixture); /* absent, but the worker is still stuck: nothing is known */
	assert_int_equal(list_count(NULL), 2);
	fake_monitor_unstick(&fixture.monitor); /* now the kernel creates it after all */
	assert_int_equal(fake_kernel_count(&fixture.monitor.kernel), 2);
	fixture_scan(&fixture);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
	assert_int_equal(create(1, "L40S-1Q", &hung, &err), 0);
}

struct pauser {
	pthread_t thread;
	int result;
	struct err err;
};

static void *ask(void *argument)
{
	struct pauser *pauser = argument;
	struct allocation allocation;

	pauser->result = create(1, "L40S-1Q", &allocation, &pauser->err);
	return NULL;
}

/* Asked again between the reading of its row and the look at what is live. */
static void a_request_whose_create_is_being_undone_is_free_again(void **state)
{
	struct agent *agent = fixture.agent;
	struct allocation undone;
	struct pauser again;
	struct lease *lease;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_DIE_BEFORE, 1);
	assert_int_equal(create(1, "L40S-1Q", &undone, &err), -1);

	pthread_mutex_lock(&agent->lock);
	assert_int_equal(pthread_create(&again.thread, NULL, ask, &again), 0);
	usleep(100 * 1000); /* it has read the row, and waits for the lock */
	lease = agent->leases[0];
	assert_int_equal(records_undo(fixture.records, lease->allocation.id, &err), 0);
	lease_drop_locked(agent, lease);
	pthread_mutex_unlock(&agent->lock);

	pthread_join(again.thread, NULL);
	assert_int_equal(again.result, 0);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

static void while_one_create_hangs_others_and_reads_go_on(void **state)
{
	struct pauser pauser;
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_start_threads(&fixture);
	fake_monitor_fail(&fixture.monitor, OP_CREATE_MDEV, FAULT_HANG_BEFORE, 1);
	assert_int_equal(pthread_create(&pauser.thread, NULL, ask, &pauser), 0);
	fake_monitor_wait_stuck(&fixture.monitor);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	assert_int_equal(create(2, "L40S-4Q", &allocation, &err), 0);
	assert_int_equal(allocator_delete(fixture.agent, NULL, allocation.id, &err), 0);
	assert_int_equal(list_count(NULL), 1);
	pthread_join(pauser.thread, NULL);
	assert_int_equal(pauser.err.reason, ERR_DEVICE_NOT_RESPONDING);
}

static void a_delete_that_hangs_keeps_the_slot_until_the_device_is_gone(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
	fake_monitor_fail(&fixture.monitor, OP_REMOVE_MDEV, FAULT_HANG_BEFORE, 1);
	assert_int_equal(allocator_delete(fixture.agent, NULL, allocation.id, &err), -1);
	assert_int_equal(err.reason, ERR_DEVICE_NOT_RESPONDING);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);

	fake_monitor_unstick(&fixture.monitor);
	fixture_scan(&fixture);
	assert_int_equal(fixture_check_no_leak(&fixture), 0);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 64);
}

static void what_strangers_make_counts_as_used_and_stays(void **state)
{
	char uuid[OPS_UUID_SIZE];
	struct fake_kernel kernel;

	(void)state;
	fake_uuid(uuid, 99);
	assert_int_equal(fake_kernel_create(&fixture.monitor.kernel, 1, 31,
					    fake_type_find("nvidia-1148"), uuid),
			 0);
	fixture_scan(&fixture);
	fixture_scan(&fixture);

	assert_int_equal(fixture_available(&fixture, "L40S-2Q"), 24 + 23);
	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 32);
	kernel = fake_monitor_kernel(&fixture.monitor);
	assert_non_null(fake_kernel_find(&kernel, uuid));
}

static void a_scan_that_is_not_whole_changes_nothing(void **state)
{
	struct allocation allocation;
	struct err err;

	(void)state;
	fixture_scan(&fixture);
	assert_int_equal(create(1, "L40S-1Q", &allocation, &err), 0);
	fake_monitor_fail(&fixture.monitor, OP_SCAN, FAULT_CUT_SHORT, 1);
	assert_int_equal(scanner_scan(fixture.agent, &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	recovery_run(fixture.agent);

	assert_int_equal(fixture_available(&fixture, "L40S-1Q"), 63);
	assert_int_equal(fixture_check_no_leak(&fixture), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(before_the_first_scan_nothing_is_claimed),
		TEST(a_create_makes_records_grants_and_counts),
		TEST(a_delete_removes_it_and_its_request_never_creates_again),
		TEST(the_same_request_returns_the_same_allocation),
		TEST(principals_see_only_their_own),
		TEST(lists_come_in_pages_oldest_first),
		TEST(an_unknown_profile_is_refused_with_the_known_ones),
		TEST(a_full_host_refuses_with_a_reason_for_each_gpu),
		TEST(seventy_at_once_get_sixty_four_slots),
		TEST(one_request_sent_eight_times_at_once_creates_one),
		TEST(a_refusal_by_the_driver_is_tried_on_another_slot),
		TEST(a_driver_that_always_refuses_is_reported),
		TEST(three_refusals_in_a_row_end_the_use_of_a_slot),
		TEST(a_grant_that_policy_forbids_undoes_the_create),
		TEST(an_unverified_device_is_removed_again),
		TEST(without_a_worker_nothing_is_recorded),
		TEST(a_device_in_use_stays_and_its_holder_is_named),
		TEST(a_kernel_that_lets_go_late_is_waited_for),
		TEST(a_create_that_hangs_is_set_aside_until_a_scan_tells),
		TEST(a_request_whose_create_is_being_undone_is_free_again),
		TEST(while_one_create_hangs_others_and_reads_go_on),
		TEST(a_delete_that_hangs_keeps_the_slot_until_the_device_is_gone),
		TEST(what_strangers_make_counts_as_used_and_stays),
		TEST(a_scan_that_is_not_whole_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
