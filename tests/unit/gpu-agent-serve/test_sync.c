/* SPDX-License-Identifier: Apache-2.0 */
/* SyncAllocations: what is forgotten goes, what is young or in use stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "gpu-agent/serve/clock.h"
#include "gpu-agent/serve/sync.h"

static struct allocation create(struct fixture *fixture, unsigned number, const char *principal)
{
	struct create_request request = fixture_request(number, "L40S-1Q");
	struct allocation allocation;
	struct err err;

	strcpy(request.principal, principal);
	assert_int_equal(allocator_create(fixture->agent, &request, &allocation, &err), 0);
	return allocation;
}

static uint64_t revision(struct fixture *fixture)
{
	struct err err;
	uint64_t value;

	assert_int_equal(sync_revision(fixture->agent, &value, &err), 0);
	return value;
}

/* Claims one id, or nothing for NULL. */
static int claim(struct fixture *fixture, uint64_t at, const char *id, struct sync_result *result,
		 struct err *err)
{
	scoped(sync_request_done) struct sync_request request = {
		.principal = "instance-svc",
		.revision = at,
		.claimed = calloc(1, sizeof(struct sync_id)),
	};

	if (id) {
		strcpy(request.claimed[0].s, id);
		request.claimed_count = 1;
	}
	return sync_run(fixture->agent, &request, result, err);
}

static void what_is_not_claimed_is_released(void **state)
{
	struct fixture *fixture = *state;
	struct allocation kept = create(fixture, 1, "instance-svc");
	struct allocation forgotten = create(fixture, 2, "instance-svc");
	struct allocation foreign = create(fixture, 3, "controller");
	scoped(sync_result_done) struct sync_result result = { 0 };
	struct err err;

	assert_int_equal(claim(fixture, revision(fixture), kept.id, &result, &err), 0);

	assert_int_equal(result.released.count, 1);
	assert_string_equal(result.released.ids[0].s, forgotten.id);
	assert_int_equal(result.in_use.count, 0);
	assert_int_equal(result.missing.count, 0);
	assert_int_equal(fixture_check_no_leak(fixture), 2);
	assert_non_null(lease_find_locked(fixture->agent, foreign.id));
}

/* Another worker would be stuck as well: it is told, recorded, and done when the GPU is back. */
static void what_a_hung_gpu_carries_is_released_later(void **state)
{
	struct fixture *fixture = *state;
	struct allocation forgotten = create(fixture, 1, "instance-svc");
	scoped(sync_result_done) struct sync_result result = { 0 };
	struct agent *agent = fixture->agent;
	unsigned removals;
	struct err err;

	fake_monitor_hang_gpu(&fixture->monitor, 0);
	agent->options.scan_timeout_ms = 300;
	fixture_scan(fixture);
	removals = fake_monitor_runs(&fixture->monitor, OP_REMOVE_MDEV);
	assert_int_equal(claim(fixture, revision(fixture), NULL, &result, &err), 0);

	assert_int_equal(result.released.count, 1);
	assert_int_equal(fake_monitor_runs(&fixture->monitor, OP_REMOVE_MDEV), removals);
	assert_int_equal(lease_find_locked(agent, forgotten.id)->allocation.state,
			 ALLOCATION_RELEASING);

	fake_monitor_hang_gpu(&fixture->monitor, -1);
	fake_monitor_unstick(&fixture->monitor);
	pthread_mutex_lock(&agent->lock);
	while (agent->suspect_count)
		(void)agent_wait_locked(agent, clock_monotonic_ms() + 1000);
	pthread_mutex_unlock(&agent->lock);
	fixture_scan(fixture);
	assert_int_equal(fixture_check_no_leak(fixture), 0);
}

static void what_is_younger_than_the_claim_stays(void **state)
{
	struct fixture *fixture = *state;
	struct allocation old = create(fixture, 1, "instance-svc");
	uint64_t at = revision(fixture);
	struct allocation young = create(fixture, 2, "instance-svc");
	scoped(sync_result_done) struct sync_result result = { 0 };
	struct err err;

	assert_int_equal(claim(fixture, at, NULL, &result, &err), 0);

	assert_int_equal(result.released.count, 1);
	assert_string_equal(result.released.ids[0].s, old.id);
	assert_non_null(lease_find_locked(fixture->agent, young.id));
	assert_int_equal(fixture_check_no_leak(fixture), 1);
}

static void *create_in_background(void *argument)
{
	create(argument, 7, "instance-svc");
	return NULL;
}

static void a_create_in_flight_is_never_undone(void **state)
{
	struct fixture *fixture = *state;
	struct allocation old = create(fixture, 1, "instance-svc");
	scoped(sync_result_done) struct sync_result result = { 0 };
	pthread_t thread;
	struct err err;
	uint64_t at;

	pthread_mutex_lock(&fixture->monitor.lock);
	fixture->monitor.delay_ms = 300;
	pthread_mutex_unlock(&fixture->monitor.lock);
	pthread_create(&thread, NULL, create_in_background, fixture);
	while (fake_monitor_runs(&fixture->monitor, OP_CREATE_MDEV) < 2)
		usleep(1000);

	/* It is on record by now, but the list's revision stays below it. */
	at = revision(fixture);
	assert_int_equal(at, old.sequence);
	assert_int_equal(claim(fixture, at, NULL, &result, &err), 0);
	pthread_join(thread, NULL);

	assert_int_equal(result.released.count, 1);
	assert_string_equal(result.released.ids[0].s, old.id);
	assert_int_equal(fixture_check_no_leak(fixture), 1);
	/* Nor can the old claim touch it once it is done. */
	sync_result_done(&result);
	assert_int_equal(claim(fixture, at, NULL, &result, &err), 0);
	assert_int_equal(result.released.count, 0);
	assert_int_equal(revision(fixture), old.sequence + 1);
}

static void what_is_in_use_is_left_alone(void **state)
{
	struct fixture *fixture = *state;
	struct allocation used = create(fixture, 1, "instance-svc");
	scoped(sync_result_done) struct sync_result result = { 0 };
	struct err err;

	fake_monitor_fail(&fixture->monitor, OP_REMOVE_MDEV, FAULT_IN_USE, 1);

	assert_int_equal(claim(fixture, revision(fixture), NULL, &result, &err), 0);

	assert_int_equal(result.released.count, 0);
	assert_int_equal(result.in_use.count, 1);
	assert_string_equal(result.in_use.ids[0].s, used.id);
	assert_int_equal(fixture_check_no_leak(fixture), 1);
}

static void what_the_kernel_keeps_goes_in_the_background(void **state)
{
	struct fixture *fixture = *state;
	scoped(sync_result_done) struct sync_result result = { 0 };
	struct err err;

	create(fixture, 1, "instance-svc");
	fake_monitor_fail(&fixture->monitor, OP_REMOVE_MDEV, FAULT_LATE, 1);

	assert_int_equal(claim(fixture, revision(fixture), NULL, &result, &err), 0);

	assert_int_equal(result.released.count, 1);
	fixture_scan(fixture);
	assert_int_equal(fixture_check_no_leak(fixture), 0);
}

static void claims_of_what_is_gone_or_foreign_are_missing(void **state)
{
	struct fixture *fixture = *state;
	struct allocation foreign = create(fixture, 1, "controller");
	scoped(sync_result_done) struct sync_result result = { 0 };
	char unknown[OPS_UUID_SIZE];
	struct err err;

	fake_uuid(unknown, 99);
	assert_int_equal(claim(fixture, revision(fixture), unknown, &result, &err), 0);
	assert_int_equal(result.missing.count, 1);
	assert_string_equal(result.missing.ids[0].s, unknown);
	sync_result_done(&result);
	assert_int_equal(claim(fixture, revision(fixture), foreign.id, &result, &err), 0);
	assert_int_equal(result.missing.count, 1);
	assert_int_equal(fixture_check_no_leak(fixture), 1);
}

static void a_revision_from_the_future_is_refused(void **state)
{
	struct fixture *fixture = *state;
	scoped(sync_result_done) struct sync_result result = { 0 };
	struct err err;

	create(fixture, 1, "instance-svc");

	assert_int_equal(claim(fixture, revision(fixture) + 1, NULL, &result, &err), -1);

	assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.field, "revision");
	assert_int_equal(fixture_check_no_leak(fixture), 1);
}

static void count_wake(void *user)
{
	++*(unsigned *)user;
}

static void watchers_are_woken_by_changes_until_they_leave(void **state)
{
	struct fixture *fixture = *state;
	unsigned first_wakes = 0, second_wakes = 0, before;
	struct watcher first = { .wake = count_wake, .user = &first_wakes };
	struct watcher second = { .wake = count_wake, .user = &second_wakes };

	agent_add_watcher(fixture->agent, &first);
	agent_add_watcher(fixture->agent, &second);
	fixture_scan(fixture);
	assert_int_equal(first_wakes, 0); /* nothing new */
	create(fixture, 1, "instance-svc");
	assert_true(first_wakes > 0);
	assert_int_equal(first_wakes, second_wakes);
	agent_remove_watcher(fixture->agent, &first);
	before = first_wakes;
	create(fixture, 2, "instance-svc");
	assert_int_equal(first_wakes, before);
	assert_true(second_wakes > before);
	agent_remove_watcher(fixture->agent, &second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_claimed_is_released),
		TEST(what_a_hung_gpu_carries_is_released_later),
		TEST(what_is_younger_than_the_claim_stays),
		TEST(a_create_in_flight_is_never_undone),
		TEST(what_is_in_use_is_left_alone),
		TEST(what_the_kernel_keeps_goes_in_the_background),
		TEST(claims_of_what_is_gone_or_foreign_are_missing),
		TEST(a_revision_from_the_future_is_refused),
		TEST(watchers_are_woken_by_changes_until_they_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
