/* SPDX-License-Identifier: Apache-2.0 */
/* Slots that are not offered, by an administrator's word or after failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "fixture.h"
#include "gpu-agent/serve/cordon.h"
#include "gpu-agent/serve/quarantine.h"

static struct host_view *view_of(struct fixture *fixture)
{
	struct host_view *view;
	struct err err;

	assert_int_equal(agent_get_view(fixture->agent, &view, &err), 0);
	return view;
}

static void cordon_gpu(struct fixture *fixture, int gpu, int but)
{
	struct err err;

	for (int vf = 0; vf < FAKE_VFS; vf++)
		if (vf != but)
			assert_int_equal(cordon_slot(fixture->agent, fake_vf_address(gpu, vf),
						     "maintenance", &err),
					 0);
}

static void a_cordoned_slot_is_not_offered_and_says_why(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *view = NULL;
	struct pci_addr slot = fake_vf_address(1, 3);
	struct err err;

	assert_int_equal(cordon_slot(fixture->agent, slot, "flaky fan", &err), 0);

	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 63);
	view = view_of(fixture);
	assert_int_equal(view->condition_count, 1);
	assert_int_equal(view->conditions[0].kind, SLOT_CORDONED);
	assert_int_equal(view->conditions[0].gpu, 1);
	assert_int_equal(pci_addr_compare(view->conditions[0].slot, slot), 0);
	assert_string_equal(view->conditions[0].reason, "flaky fan");
	assert_string_equal(view->gpus[1].reason, "0000:61:00.7 is not used: cordoned: flaky fan");
}

static void only_what_is_not_cordoned_is_placed(void **state)
{
	struct fixture *fixture = *state;
	struct create_request request = fixture_request(1, "L40S-1Q");
	struct allocation allocation;
	struct err err;

	cordon_gpu(fixture, 0, 17);
	cordon_gpu(fixture, 1, -1);

	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 1);
	assert_int_equal(allocator_create(fixture->agent, &request, &allocation, &err), 0);
	assert_int_equal(pci_addr_compare(allocation.slot, fake_vf_address(0, 17)), 0);
	request = fixture_request(2, "L40S-1Q");
	assert_int_equal(allocator_create(fixture->agent, &request, &allocation, &err), -1);
	assert_int_equal(err.reason, ERR_INSUFFICIENT_CAPACITY);
}

static void what_lives_on_a_cordoned_slot_stays_and_can_go(void **state)
{
	struct fixture *fixture = *state;
	struct create_request request = fixture_request(1, "L40S-1Q");
	struct allocation allocation;
	struct err err;

	assert_int_equal(allocator_create(fixture->agent, &request, &allocation, &err), 0);
	assert_int_equal(cordon_slot(fixture->agent, allocation.slot, "maintenance", &err), 0);
	fixture_scan(fixture);
	assert_int_equal(fixture_check_no_leak(fixture), 1);
	assert_int_equal(allocator_delete(fixture->agent, NULL, allocation.id, &err), 0);
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 63);
	assert_int_equal(uncordon_slot(fixture->agent, allocation.slot, &err), 0);
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 64);
}

static void a_cordon_survives_a_restart_with_its_last_reason(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *view = NULL;
	struct pci_addr slot = fake_vf_address(0, 0), other = fake_vf_address(0, 1);
	struct err err;

	assert_int_equal(cordon_slot(fixture->agent, slot, "first", &err), 0);
	assert_int_equal(cordon_slot(fixture->agent, other, "other", &err), 0);
	assert_int_equal(cordon_slot(fixture->agent, slot, "second", &err), 0);
	assert_int_equal(uncordon_slot(fixture->agent, other, &err), 0);
	fixture_restart(fixture);
	fixture_scan(fixture);

	view = view_of(fixture);
	assert_int_equal(view->condition_count, 1);
	assert_string_equal(view->conditions[0].reason, "second");
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 63);
}

static void what_is_no_slot_cannot_be_cordoned(void **state)
{
	struct fixture *fixture = *state;
	struct pci_addr nothing = { .bus = 0x99 };
	struct err err;

	assert_int_equal(cordon_slot(fixture->agent, nothing, "x", &err), -1);
	assert_int_equal(err.reason, ERR_SLOT_NOT_FOUND);
	assert_int_equal(cordon_slot(fixture->agent, fake_gpu_address(0), "x", &err), -1);
	assert_int_equal(err.reason, ERR_SLOT_NOT_FOUND);
	assert_int_equal(uncordon_slot(fixture->agent, nothing, &err), -1);
	assert_int_equal(err.reason, ERR_SLOT_NOT_FOUND);
	assert_int_equal(uncordon_slot(fixture->agent, fake_vf_address(0, 0), &err), 0);
}

static void put_in_quarantine(struct fixture *fixture, struct pci_addr slot)
{
	for (int i = 0; i < AGENT_FAILURES_MAX; i++)
		quarantine_judge(fixture->agent, slot, "Input/output error");
}

static void failures_in_a_row_count(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *view = NULL;
	struct pci_addr slot = fake_vf_address(0, 5);

	for (int i = 0; i < 2 * AGENT_FAILURES_MAX; i++)
		quarantine_judge(fixture->agent, slot, i % 2 ? "Input/output error" : NULL);
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 64);
	put_in_quarantine(fixture, slot);
	quarantine_judge(fixture->agent, slot, NULL); /* of a create that was under way */

	view = view_of(fixture);
	assert_int_equal(view->conditions[0].kind, SLOT_QUARANTINED);
	assert_string_equal(view->conditions[0].reason,
			    "3 creates in a row failed, the last: Input/output error");
}

static void a_quarantine_survives_a_restart_until_it_is_ended(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *before = NULL, *after = NULL, *ended = NULL;
	struct pci_addr slot = fake_vf_address(0, 5);
	struct err err;

	put_in_quarantine(fixture, slot);
	before = view_of(fixture);
	fixture_restart(fixture);
	assert_int_equal(uncordon_slot(fixture->agent, fake_vf_address(0, 6), &err), -1);
	assert_int_equal(err.reason, ERR_INVENTORY_NOT_READY);
	fixture_scan(fixture);
	after = view_of(fixture);

	assert_int_equal(after->condition_count, 1);
	assert_int_equal(after->conditions[0].kind, SLOT_QUARANTINED);
	assert_int_equal(after->conditions[0].since_ms, before->conditions[0].since_ms);
	assert_string_equal(after->conditions[0].reason, before->conditions[0].reason);
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 63);

	assert_int_equal(uncordon_slot(fixture->agent, slot, &err), 0);
	fixture_restart(fixture);
	fixture_scan(fixture);
	ended = view_of(fixture);
	assert_int_equal(ended->condition_count, 0);
}

static void run_sql(struct fixture *fixture, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/gpu-agent.db", fixture->folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_record_that_makes_no_sense_is_ignored(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *view = NULL;

	put_in_quarantine(fixture, fake_vf_address(0, 5));
	run_sql(fixture, "INSERT INTO quarantine VALUES ('', 'x', 1);"
			 "INSERT INTO quarantine VALUES ('0000:41:00.4; DROP', 'x', 1);"
			 "INSERT INTO quarantine VALUES ('0000:41:00.5', hex(zeroblob(999)), 1);"
			 "INSERT INTO cordon VALUES ('nowhere', 'x', 1)");
	fixture_restart(fixture);
	fixture_scan(fixture);

	view = view_of(fixture);
	assert_int_equal(view->condition_count, 1);
	assert_int_equal(pci_addr_compare(view->conditions[0].slot, fake_vf_address(0, 5)), 0);
}

static void uncordoning_ends_a_quarantine(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *before = NULL, *after = NULL;
	struct pci_addr slot = fake_vf_address(0, 5);
	struct err err;

	put_in_quarantine(fixture, slot);
	before = view_of(fixture);
	assert_int_equal(before->condition_count, 1);
	assert_int_equal(before->conditions[0].kind, SLOT_QUARANTINED);
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 63);

	assert_int_equal(uncordon_slot(fixture->agent, slot, &err), 0);

	after = view_of(fixture);
	assert_int_equal(after->condition_count, 0);
	assert_int_equal(fixture_available(fixture, "L40S-1Q"), 64);
}

static void a_slot_that_hangs_is_shown_as_wedged(void **state)
{
	struct fixture *fixture = *state;
	scoped(host_view_unref) struct host_view *view = NULL;
	struct create_request request = fixture_request(1, "L40S-1Q");
	struct allocation allocation;
	struct err err;

	fake_monitor_fail(&fixture->monitor, OP_CREATE_MDEV, FAULT_HANG_BEFORE, 1);
	assert_int_equal(allocator_create(fixture->agent, &request, &allocation, &err), -1);

	view = view_of(fixture);
	assert_int_equal(view->condition_count, 1);
	assert_int_equal(view->conditions[0].kind, SLOT_WEDGED);
	assert_int_equal(pci_addr_compare(view->conditions[0].slot, fake_vf_address(0, 0)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cordoned_slot_is_not_offered_and_says_why),
		TEST(only_what_is_not_cordoned_is_placed),
		TEST(what_lives_on_a_cordoned_slot_stays_and_can_go),
		TEST(a_cordon_survives_a_restart_with_its_last_reason),
		TEST(what_is_no_slot_cannot_be_cordoned),
		TEST(failures_in_a_row_count),
		TEST(a_quarantine_survives_a_restart_until_it_is_ended),
		TEST(a_record_that_makes_no_sense_is_ignored),
		TEST(uncordoning_ends_a_quarantine),
		TEST(a_slot_that_hangs_is_shown_as_wedged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
