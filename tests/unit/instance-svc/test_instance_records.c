/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "instance-svc/records.h"

struct fixture {
	char directory[64];
	char path[96];
	struct records *records;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->directory, sizeof(f->directory), "/tmp/records-test-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/records.db", f->directory);
	*state = f;
	return records_open(f->path, &f->records, &f->err);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	records_close(f->records);
	snprintf(command, sizeof(command), "rm -rf %s", f->directory);
	(void)!system(command);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	records_close(f->records);
	f->records = NULL;
	assert_int_equal(records_open(f->path, &f->records, &f->err), 0);
}

static struct spec *make_spec(const char *name)
{
	struct spec *spec = calloc(1, sizeof(*spec));

	spec->name = strdup(name);
	spec->image = strdup("docker.io/library/busybox:latest");
	spec->memory_bytes = UINT64_C(1) << 30;
	spec->overlay_bytes = UINT64_C(1) << 30;
	spec->vcpus = 1;
	return spec;
}

static struct record make_record(uint32_t slot)
{
	struct record record = { .state = STATE_INITIALIZING, .slot = slot, .created_ms = 1234 };

	assert_int_equal(id_new(&record.id), 0);
	record.uuid = uuid_new();
	return record;
}

static void insert(struct fixture *f, struct record *record, const char *name)
{
	scoped(spec_free) struct spec *spec = make_spec(name);

	assert_int_equal(records_insert(f->records, record, spec, &f->err), 0);
}

struct loaded {
	struct record records[8];
	char names[8][64];
	size_t count, damaged;
};

static int load_one(void *user, const struct record *record, struct spec *take_spec,
		    struct err *err)
{
	struct loaded *loaded = user;

	(void)err;
	loaded->records[loaded->count] = *record;
	snprintf(loaded->names[loaded->count], sizeof(loaded->names[0]), "%s", take_spec->name);
	loaded->count++;
	spec_free(take_spec);
	return 0;
}

static void count_damaged(void *user, const char *id, const struct err *err)
{
	(void)id;
	(void)err;
	((struct loaded *)user)->damaged++;
}

static struct loaded load(struct fixture *f)
{
	struct loaded loaded = { 0 };
	const struct records_visitor visitor = { load_one, count_damaged, &loaded };

	assert_int_equal(records_load(f->records, &visitor, &f->err), 0);
	return loaded;
}

static void every_field_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct record record = make_record(3);
	struct loaded loaded;

	insert(f, &record, "one");
	record.state = STATE_STOPPED;
	record.deleting = true;
	record.started_ms = 2000;
	record.stopped_ms = 3000;
	snprintf(record.digest, sizeof(record.digest), "sha256:abc");
	record.gpu_request = uuid_new();
	record.lease = (struct gpu_lease){ .id = uuid_new(),
					   .mdev_uuid = uuid_new(),
					   .profile = "L40S-1Q",
					   .pci_address = "0000:41:00.4",
					   .framebuffer_mb = 1024,
					   .simulated = true,
					   .device_node = "/dev/vfio/36",
					   .sysfs_path = "/sys/bus/mdev/devices/x" };
	record.supervisor =
		(struct process_id){ .pid = 77, .start_ticks = 88, .boot_id = uuid_new() };
	snprintf(record.state_error, sizeof(record.state_error), "pull the image: no");
	record.has_exit_code = true;
	record.exit_code = 137;
	snprintf(record.exit_message, sizeof(record.exit_message), "killed");
	assert_int_equal(records_update(f->records, &record, &f->err), 0);
	reopen(f);
	loaded = load(f);

	assert_int_equal(loaded.count, 1);
	assert_memory_equal(&loaded.records[0], &record, sizeof(record));
	assert_string_equal(loaded.names[0], "one");
}

static void records_come_in_the_order_of_creation(void **state)
{
	struct fixture *f = *state;
	struct record first = make_record(1), second = make_record(0);
	struct loaded loaded;

	insert(f, &first, "z");
	insert(f, &second, "a");
	loaded = load(f);

	assert_string_equal(loaded.names[0], "z");
	assert_string_equal(loaded.names[1], "a");
	assert_true(second.sequence > first.sequence);
}

static void a_name_in_use_is_refused_until_its_record_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct record first = make_record(0), second = make_record(1);
	scoped(spec_free) struct spec *spec = make_spec("same");

	insert(f, &first, "same");
	assert_int_equal(records_insert(f->records, &second, spec, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_NAME_TAKEN);
	first.deleting = first.dropped = true;
	assert_int_equal(records_update(f->records, &first, &f->err), 0);
	assert_int_equal(records_insert(f->records, &second, spec, &f->err), 0);
	assert_int_equal(load(f).count, 2);
}

static void the_lowest_free_slot_is_taken(void **state)
{
	struct fixture *f = *state;
	struct record first = make_record(0), second = make_record(1), third = make_record(2);
	uint32_t slot;

	insert(f, &first, "a");
	insert(f, &second, "b");
	insert(f, &third, "c");
	assert_int_equal(records_remove(f->records, &second.id, &f->err), 0);
	assert_int_equal(records_free_slot(f->records, 3, &slot, &f->err), 0);
	assert_int_equal(slot, 1);
}

static void without_a_free_slot_there_is_no_instance(void **state)
{
	struct fixture *f = *state;
	struct record record = make_record(0);
	uint32_t slot;

	insert(f, &record, "a");
	assert_int_equal(records_free_slot(f->records, 1, &slot, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_INSUFFICIENT_CAPACITY);
}

static void a_gpu_is_claimed_by_its_request_or_its_allocation(void **state)
{
	struct fixture *f = *state;
	struct record intent = make_record(0), holder = make_record(1);
	bool claimed;

	intent.gpu_request = uuid_new();
	holder.lease.id = uuid_new();
	insert(f, &intent, "a");
	insert(f, &holder, "b");
	assert_int_equal(records_claim(f->records, "-", intent.gpu_request.s, &claimed, &f->err),
			 0);
	assert_true(claimed);
	assert_int_equal(records_claim(f->records, holder.lease.id.s, "-", &claimed, &f->err), 0);
	assert_true(claimed);
	assert_int_equal(records_claim(f->records, "-", "-", &claimed, &f->err), 0);
	assert_false(claimed);
}

static void run_sql(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void one_damaged_record_does_not_hide_the_others(void **state)
{
	struct fixture *f = *state;
	struct record first = make_record(0), second = make_record(1), third = make_record(2);
	struct loaded loaded;

	insert(f, &first, "a");
	insert(f, &second, "b");
	insert(f, &third, "c");
	run_sql(f, "UPDATE instances SET spec = x'ff' WHERE slot = 0");
	run_sql(f, "UPDATE instances SET state = 99 WHERE slot = 2");
	loaded = load(f);

	assert_int_equal(loaded.count, 1);
	assert_int_equal(loaded.damaged, 2);
	assert_string_equal(loaded.names[0], "b");
}

static void records_of_a_later_program_are_refused(void **state)
{
	struct fixture *f = *state;
	struct records *records = NULL;

	run_sql(f, "PRAGMA user_version = 99");
	assert_int_equal(records_open(f->path, &records, &f->err), -1);
	assert_null(records);
	assert_non_null(strstr(f->err.message, "version 99"));
}

static void the_file_is_for_us_alone(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_field_survives_a_restart),
		TEST(records_come_in_the_order_of_creation),
		TEST(a_name_in_use_is_refused_until_its_record_is_dropped),
		TEST(the_lowest_free_slot_is_taken),
		TEST(without_a_free_slot_there_is_no_instance),
		TEST(a_gpu_is_claimed_by_its_request_or_its_allocation),
		TEST(one_damaged_record_does_not_hide_the_others),
		TEST(records_of_a_later_program_are_refused),
		TEST(the_file_is_for_us_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
