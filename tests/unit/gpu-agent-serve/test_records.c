/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "fake_kernel.h"
#include "gpu-agent/serve/records.h"

static char folder[64];

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test-gpu-records-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/gpu-agent.db%s", folder, suffixes[i]);
		(void)unlink(path);
	}
	return rmdir(folder);
}

static struct records *open_records(void)
{
	struct records *records;
	struct err err;

	assert_int_equal(records_open(folder, &records, &err), 0);
	return records;
}

static struct allocation make(unsigned number)
{
	struct allocation a = {
		.sequence = number,
		.kind = ALLOCATION_VENDOR,
		.principal = "instance-svc",
		.owner = "vm-7",
		.state = ALLOCATION_CREATING,
		.profile = "L40S-1Q",
		.type = "nvidia-1147",
		.framebuffer_mb = 1024,
		.slot = { .domain = 0x10000, .bus = 0x41, .slot = 3, .function = 7 },
		.gpu = { .domain = 0x10000, .bus = 0x41 },
		.numa_node = -1,
		.iommu_group = OPS_NO_GROUP,
		.grant_gid = 4000000000,
		.create_time_ms = 1700000000123,
		.boot_id = "5f0c1e2a-0000-4000-8000-000000000001",
	};

	fake_uuid(a.id, number);
	fake_uuid(a.request_id, number + 1000);
	return a;
}

static void what_is_written_is_read_back_whole(void **state)
{
	struct records *records = open_records();
	struct allocation written = make(1), read, *loaded;
	struct err err;
	size_t count;
	uint64_t last;

	(void)state;
	assert_int_equal(records_last_sequence(records, &last, &err), 0);
	assert_int_equal(last, 0);
	assert_int_equal(records_add(records, &written, &err), 0);
	records_close(records);
	records = open_records();

	assert_int_equal(records_find(records, written.id, &read, &err), 1);
	assert_memory_equal(&read, &written, sizeof(read));
	assert_int_equal(
		records_find_request(records, "instance-svc", written.request_id, &read, &err), 1);
	assert_int_equal(records_find_request(records, "another", written.request_id, &read, &err),
			 0);
	assert_int_equal(records_load(records, &loaded, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_memory_equal(&loaded[0], &written, sizeof(written));
	assert_int_equal(records_last_sequence(records, &last, &err), 0);
	assert_int_equal(last, 1);
	free(loaded);
	records_close(records);
}

static void states_move_and_ended_ones_are_not_loaded(void **state)
{
	struct records *records = open_records();
	struct allocation a = make(1), b = make(2), read, *loaded;
	struct err err;
	size_t count;

	(void)state;
	assert_int_equal(records_add(records, &a, &err), 0);
	assert_int_equal(records_add(records, &b, &err), 0);
	a.iommu_group = 36;
	assert_int_equal(records_set_state(records, &a, ALLOCATION_READY, &err), 0);
	assert_int_equal(records_find(records, a.id, &read, &err), 1);
	assert_int_equal(read.state, ALLOCATION_READY);
	assert_int_equal(read.iommu_group, 36);
	assert_int_equal(records_set_state(records, &a, ALLOCATION_CLOSED, &err), 0);
	assert_int_equal(records_undo(records, b.id, &err), 0);

	assert_int_equal(records_load(records, &loaded, &count, &err), 0);
	assert_int_equal(count, 0);
	free(loaded);
	assert_int_equal(records_find_request(records, a.principal, a.request_id, &read, &err), 1);
	assert_int_equal(read.state, ALLOCATION_CLOSED);
	assert_int_equal(records_find_request(records, b.principal, b.request_id, &read, &err), 0);
	assert_int_equal(records_find(records, b.id, &read, &err), 1);
	assert_int_equal(read.state, ALLOCATION_UNDONE);
	records_close(records);
}

static void a_request_id_is_taken_once_for_each_principal(void **state)
{
	struct records *records = open_records();
	struct allocation a = make(1), b = make(2);
	struct err err;

	(void)state;
	memcpy(b.request_id, a.request_id, sizeof(b.request_id));
	assert_int_equal(records_add(records, &a, &err), 0);
	assert_int_equal(records_add(records, &b, &err), -1);
	assert_int_equal(err.reason, ERR_ABORTED);
	strcpy(b.principal, "another");
	assert_int_equal(records_add(records, &b, &err), 0);
	records_close(records);
}

static void a_change_of_an_unknown_allocation_is_an_error(void **state)
{
	struct records *records = open_records();
	struct allocation a = make(1);
	struct err err;

	(void)state;
	assert_int_equal(records_set_state(records, &a, ALLOCATION_READY, &err), -1);
	assert_int_equal(records_undo(records, a.id, &err), -1);
	records_close(records);
}

static void one_process_at_a_time(void **state)
{
	struct records *records = open_records(), *second;
	struct err err;

	(void)state;
	assert_int_equal(records_open(folder, &second, &err), -1);
	assert_non_null(strstr(err.message, "another gpu-agent-serve"));
	records_close(records);
	records_close(open_records());
}

static void schema_1_knew_mdevs_only(void **state)
{
	struct records *records = open_records();
	struct allocation written = make(1), found;
	char path[160];
	sqlite3 *db;
	struct err err;

	(void)state;
	assert_int_equal(records_add(records, &written, &err), 0);
	records_close(records);
	snprintf(path, sizeof(path), "%s/gpu-agent.db", folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "ALTER TABLE allocation DROP COLUMN kind;"
				      "PRAGMA user_version = 1;",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);

	records = open_records();
	assert_int_equal(records_find(records, written.id, &found, &err), 1);
	assert_int_equal(found.kind, ALLOCATION_MDEV);
	assert_string_equal(found.type, written.type);
	records_close(records);
}

static void a_newer_schema_is_refused(void **state)
{
	struct records *records = open_records();
	char command[160];
	struct err err;
	FILE *file;

	(void)state;
	records_close(records);
	/* The header's user_version is the big-endian word at 60. */
	snprintf(command, sizeof(command), "%s/gpu-agent.db", folder);
	file = fopen(command, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 60, SEEK_SET), 0);
	assert_int_equal(fwrite("\0\0\0\7", 1, 4, file), 4);
	fclose(file);

	assert_int_equal(records_open(folder, &records, &err), -1);
	assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "schema 7"));
}

/* Writes until it is killed; tells each record that it was promised is safe. */
static void write_until_killed(int fd)
{
	struct records *records;
	struct err err;

	if (records_open(folder, &records, &err))
		_exit(1);
	for (unsigned i = 1;; i++) {
		struct allocation a = make(i);

		if (records_add(records, &a, &err) ||
		    records_set_state(records, &a, ALLOCATION_READY, &err) ||
		    write(fd, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void what_was_promised_survives_kill_9(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		unsigned last = 0, told;
		struct records *records;
		struct allocation *loaded;
		struct err err;
		size_t count, ready = 0;
		int fds[2];
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (pid == 0)
			write_until_killed(fds[1]);
		close(fds[1]);
		while (last < 5 + round * 3 && read(fds[0], &told, sizeof(told)) == sizeof(told))
			last = told;
		kill(pid, SIGKILL);
		while (read(fds[0], &told, sizeof(told)) == sizeof(told))
			last = told;
		waitpid(pid, NULL, 0);
		close(fds[0]);

		records = open_records();
		assert_int_equal(records_load(records, &loaded, &count, &err), 0);
		for (size_t i = 0; i < count; i++)
			ready += loaded[i].state == ALLOCATION_READY;
		assert_true(last >= 5);
		assert_true(ready >= last && ready <= last + 1 && count <= ready + 1);
		free(loaded);
		records_close(records);
		(void)teardown(NULL);
		assert_int_equal(setup(NULL), 0);
	}
}

static void the_catalogue_is_read_back(void **state)
{
	struct records *records = open_records();
	struct catalogue written = { 0 }, read = { 0 };
	struct catalogue_type type = { .board = { 0x10de, 0x26b9, 0x10de, 0x1851 },
				       .id = "1147",
				       .name = "L40S-1Q",
				       .framebuffer_mb = OPS_UNKNOWN,
				       .max_instance = 32 };
	struct err err;

	(void)state;
	assert_int_equal(catalogue_put(&written, &type, true), 1);
	assert_int_equal(catalogue_put(&written, &type, true), 0);
	type.framebuffer_mb = 1024;
	assert_int_equal(catalogue_put(&written, &type, false), 1); /* fills a gap */
	type.framebuffer_mb = 2048;
	assert_int_equal(catalogue_put(&written, &type, false), 0); /* does not overrule */
	type.max_instance = OPS_UNKNOWN;
	assert_int_equal(catalogue_put(&written, &type, true), 1); /* the GPU is empty: overrules */
	assert_int_equal(records_save_catalogue(records, &written, &err), 0);
	assert_int_equal(records_load_catalogue(records, &read, &err), 0);

	assert_int_equal(read.count, 1);
	assert_memory_equal(&read.types[0], &written.types[0], sizeof(type));
	assert_int_equal(read.types[0].framebuffer_mb, 2048);
	assert_int_equal(read.types[0].max_instance, 32);
	catalogue_done(&written);
	catalogue_done(&read);
	records_close(records);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_back_whole),
		TEST(states_move_and_ended_ones_are_not_loaded),
		TEST(a_request_id_is_taken_once_for_each_principal),
		TEST(a_change_of_an_unknown_allocation_is_an_error),
		TEST(one_process_at_a_time),
		TEST(schema_1_knew_mdevs_only),
		TEST(a_newer_schema_is_refused),
		TEST(what_was_promised_survives_kill_9),
		TEST(the_catalogue_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
