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
#include "instance-svc/strv.h"

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

	assert_int_equal(records_insert(f->records, record, spec, NULL, &f->err), 0);
}

/* With a vGPU and two devices: three holds. */
static void insert_holder(struct fixture *f, struct record *record, const char *name)
{
	scoped(spec_free) struct spec *spec = make_spec(name);

	spec->gpu_profile = strdup("L40S-1Q");
	strv_append(&spec->devices, "gpu-0");
	strv_append(&spec->devices, "gpu-1");
	record->hold_count = spec_hold_count(spec);
	assert_int_equal(records_insert(f->records, record, spec, NULL, &f->err), 0);
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

	snprintf(record.principal, sizeof(record.principal), "gw/alice");
	insert_holder(f, &record, "one");
	record.state = STATE_STOPPED;
	record.deleting = true;
	record.goal = GOAL_STANDBY;
	record.stop_ms = 1500;
	record.started_ms = 2000;
	record.stopped_ms = 3000;
	snprintf(record.digest, sizeof(record.digest), "sha256:abc");
	record.holds[0] = (struct hold){ .request = uuid_new(),
					 .lease = { .id = uuid_new(),
						    .mdev_uuid = uuid_new(),
						    .profile = "L40S-1Q",
						    .pci_address = "0000:41:00.4",
						    .framebuffer_mb = 1024,
						    .numa_node = -1,
						    .simulated = true } };
	record.holds[2] =
		(struct hold){ .request = uuid_new(),
			       .device = "gpu-1",
			       .lease = { .id = uuid_new(),
					  .device_id = uuid_new(),
					  .pci_address = "0000:82:00.0",
					  .numa_node = 1,
					  .functions = { { 0, 0x82, 0, 0 }, { 0, 0x82, 0, 1 } },
					  .function_count = 2,
					  .device_node = "/dev/vfio/36",
					  .sysfs_path = "/sys/bus/pci/devices/x" } };
	snprintf(record.kernel, sizeof(record.kernel), "6.1.0-56");
	record.snapshot_bytes = UINT64_C(1) << 33;
	snprintf(record.machine, sizeof(record.machine), "pc-q35-7.2");
	record.kvm = true;
	record.shutdown_boot = uuid_new();
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
	for (int i = 0; i < 2; i++) { /* the one part with bytes that mean nothing */
		struct pci_addr *function = &loaded.records[0].holds[2].lease.functions[i];

		assert_string_equal(PCI_STR(*function),
				    PCI_STR(record.holds[2].lease.functions[i]));
		memset(function, 0, sizeof(*function));
		memset(&record.holds[2].lease.functions[i], 0, sizeof(*function));
	}
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
	assert_int_equal(records_insert(f->records, &second, spec, NULL, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_NAME_TAKEN);
	first.deleting = first.dropped = true;
	assert_int_equal(records_update(f->records, &first, &f->err), 0);
	assert_int_equal(records_insert(f->records, &second, spec, NULL, &f->err), 0);
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

	intent.holds[0].request = uuid_new();
	holder.holds[2].lease.id = uuid_new();
	insert_holder(f, &intent, "a");
	insert_holder(f, &holder, "b");
	assert_int_equal(
		records_claim(f->records, "-", intent.holds[0].request.s, &claimed, &f->err), 0);
	assert_true(claimed);
	assert_int_equal(
		records_claim(f->records, holder.holds[2].lease.id.s, "-", &claimed, &f->err), 0);
	assert_true(claimed);
	assert_int_equal(records_claim(f->records, "-", "-", &claimed, &f->err), 0);
	assert_false(claimed);
	assert_int_equal(records_remove(f->records, &holder.id, &f->err), 0);
	assert_int_equal(
		records_claim(f->records, holder.holds[2].lease.id.s, "-", &claimed, &f->err), 0);
	assert_false(claimed);
}

static void the_spec_can_be_replaced(void **state)
{
	struct fixture *f = *state;
	struct record record = make_record(0);
	scoped(spec_free) struct spec *changed = make_spec("a");
	struct loaded loaded;

	insert(f, &record, "a");
	free(changed->name);
	changed->name = strdup("changed");
	assert_int_equal(records_replace_spec(f->records, &record.id, changed, &f->err), 0);
	loaded = load(f);
	assert_string_equal(loaded.names[0], "changed");
}

static struct record_request make_request(const char *principal, const char *id, const char *body)
{
	struct record_request request = { 0 };

	snprintf(request.principal, sizeof(request.principal), "%s", principal);
	snprintf(request.id, sizeof(request.id), "%s", id);
	request.body = image_digest_of(body, strlen(body));
	return request;
}

static void a_request_is_found_again_by_who_made_it(void **state)
{
	struct fixture *f = *state;
	struct record record = make_record(0);
	struct record_request request = make_request("api", "one", "body");
	struct record_request again = make_request("api", "one", "other");
	struct record_request other = make_request("cli", "one", "body");
	scoped(spec_free) struct spec *spec = make_spec("a");
	struct id id;

	assert_int_equal(records_insert(f->records, &record, spec, &request, &f->err), 0);
	reopen(f);
	assert_int_equal(records_find_request(f->records, &again, &id, &f->err), 1);
	assert_string_equal(id.s, record.id.s);
	assert_string_equal(again.body.s, request.body.s);
	assert_int_equal(records_find_request(f->records, &other, &id, &f->err), 0);
	/* It outlives the instance, unless that came to nothing. */
	assert_int_equal(records_remove(f->records, &record.id, &f->err), 0);
	assert_int_equal(records_find_request(f->records, &again, &id, &f->err), 1);
	assert_int_equal(records_forget_request(f->records, &record.id, &f->err), 0);
	assert_int_equal(records_find_request(f->records, &again, &id, &f->err), 0);
}

static void a_request_is_kept_for_a_day(void **state)
{
	struct fixture *f = *state;
	struct record first = make_record(0), second = make_record(1), third = make_record(2);
	struct record_request old = make_request("api", "old", "");
	struct record_request young = make_request("api", "young", "");
	struct record_request now = make_request("api", "now", "");
	scoped(spec_free) struct spec *a = make_spec("a");
	scoped(spec_free) struct spec *b = make_spec("b");
	scoped(spec_free) struct spec *c = make_spec("c");
	struct id id;

	second.created_ms = first.created_ms + 1;
	third.created_ms = second.created_ms + RECORD_REQUEST_MS;
	assert_int_equal(records_insert(f->records, &first, a, &old, &f->err), 0);
	assert_int_equal(records_insert(f->records, &second, b, &young, &f->err), 0);
	assert_int_equal(records_insert(f->records, &third, c, &now, &f->err), 0);
	assert_int_equal(records_find_request(f->records, &old, &id, &f->err), 0);
	assert_int_equal(records_find_request(f->records, &young, &id, &f->err), 1);
}

static void a_name_that_is_taken_leaves_no_request(void **state)
{
	struct fixture *f = *state;
	struct record first = make_record(0), second = make_record(1);
	struct record_request request = make_request("api", "one", "body");
	scoped(spec_free) struct spec *spec = make_spec("same");
	struct id id;

	insert(f, &first, "same");
	assert_int_equal(records_insert(f->records, &second, spec, &request, &f->err), -1);
	assert_int_equal(records_find_request(f->records, &request, &id, &f->err), 0);
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

/* As the first version left it: one GPU beside the instance, in the same row. */
static void records_of_the_first_version_are_taken_over(void **state)
{
	struct fixture *f = *state;
	struct record record = make_record(5);
	struct loaded loaded;

	insert_holder(f, &record, "old");
	records_close(f->records);
	f->records = NULL;
	run_sql(f, "DROP TABLE holds; DROP TABLE requests;"
		   "CREATE TABLE old AS SELECT * FROM instances; DROP TABLE instances;"
		   "CREATE TABLE instances ("
		   " sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
		   " uuid TEXT NOT NULL, name TEXT UNIQUE, spec BLOB NOT NULL,"
		   " slot INTEGER NOT NULL UNIQUE, created_ms INTEGER NOT NULL,"
		   " state INTEGER NOT NULL, deleting INTEGER NOT NULL, dropped INTEGER NOT NULL,"
		   " started_ms INTEGER NOT NULL, stopped_ms INTEGER NOT NULL,"
		   " digest TEXT NOT NULL, gpu_request TEXT NOT NULL, allocation TEXT NOT NULL,"
		   " mdev_uuid TEXT NOT NULL, gpu_profile TEXT NOT NULL,"
		   " pci_address TEXT NOT NULL, framebuffer_mb INTEGER NOT NULL,"
		   " simulated INTEGER NOT NULL, device_node TEXT NOT NULL,"
		   " sysfs_path TEXT NOT NULL, supervisor_pid INTEGER NOT NULL,"
		   " supervisor_start INTEGER NOT NULL, boot_id TEXT NOT NULL,"
		   " state_error TEXT NOT NULL, exit_code INTEGER,"
		   " exit_message TEXT NOT NULL) STRICT;"
		   "INSERT INTO instances SELECT sequence, id, uuid, name, spec, slot, created_ms,"
		   " state, deleting, dropped, started_ms, stopped_ms, digest, 'request', 'lease',"
		   " 'mdev', 'L40S-1Q', '0000:41:00.4', 1024, 1, '/dev/vfio/7', '/sys/x',"
		   " supervisor_pid, supervisor_start, boot_id, state_error, exit_code,"
		   " exit_message FROM old; DROP TABLE old; PRAGMA user_version = 1;");
	assert_int_equal(records_open(f->path, &f->records, &f->err), 0);
	loaded = load(f);

	assert_int_equal(loaded.count, 1);
	assert_string_equal(loaded.names[0], "old");
	assert_string_equal(loaded.records[0].principal, "");
	assert_int_equal(loaded.records[0].slot, 5);
	assert_int_equal(loaded.records[0].goal, GOAL_RUN);
	assert_string_equal(loaded.records[0].holds[0].request.s, "request");
	assert_string_equal(loaded.records[0].holds[0].lease.id.s, "lease");
	assert_string_equal(loaded.records[0].holds[0].lease.pci_address, "0000:41:00.4");
	assert_int_equal(loaded.records[0].holds[0].lease.numa_node, -1);
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
		TEST(records_of_the_first_version_are_taken_over),
		TEST(the_spec_can_be_replaced),
		TEST(a_request_is_found_again_by_who_made_it),
		TEST(a_request_is_kept_for_a_day),
		TEST(a_name_that_is_taken_leaves_no_request),
		TEST(the_file_is_for_us_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
