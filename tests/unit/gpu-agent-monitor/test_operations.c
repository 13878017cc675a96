/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create, remove, grant, revoke and holders on a tree of plain files: what is refused, what is
 * written, and what the journal says then. Nothing reacts to a write here; the simulated host
 * does, in the integration tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "gpu-agent/monitor/settle.h"

#define PF     "0000:e8:00.0"
#define VF     "0000:e8:00.4"
#define TYPE   "nvidia-557"
#define GROUP  "200"
#define UUID   "aa618089-8b16-4d01-a136-25a0f3c73123"
#define CREATE "sys/devices/pci/" VF "/mdev_supported_types/" TYPE "/create"
#define REMOVE "sys/devices/pci/" VF "/" UUID "/remove"
#define NODE   "dev/vfio/" GROUP

static const struct policy policy = {
	.range_count = 1,
	.grant_gids = { { 70000, 70010 } },
	.vendor_count = 1,
	.vendors = { 0x10de },
};

static struct op_request request(enum op_kind kind)
{
	struct op_request r = { .version = OPS_VERSION, .kind = kind, .uuid = UUID, .type = TYPE };

	assert_int_equal(pci_addr_parse(VF, &r.parent), 0);
	return r;
}

static void add_vf(struct fixture *fixture, const char *vendor, const char *class_code)
{
	fixture_add_function(fixture, VF, vendor, "0x2235\n", class_code, PF);
	fixture_add_type(fixture, VF, TYPE, NULL, NULL, "1\n");
}

static void add_to_journal(struct fixture *fixture, enum journal_state state)
{
	struct journal_entry entry = { .kind = JOURNAL_MDEV, .uuid = UUID, .type = TYPE };
	struct err err;
	struct job job;

	assert_int_equal(pci_addr_parse(VF, &entry.parent), 0);
	fixture_job(fixture, &policy, &job);
	assert_int_equal(journal_begin(&job.journal, &entry, &err), 0);
	if (state == JOURNAL_CREATED)
		assert_int_equal(journal_append(&job.journal, &entry, state, &err), 0);
	fixture_job_done(&job);
}

/* An mdev with its node; state 0: not in the journal. */
static void add_mdev(struct fixture *fixture, enum journal_state state)
{
	add_vf(fixture, "0x10de\n", "0x030200\n");
	fixture_add_mdev(fixture, VF, TYPE, UUID, GROUP);
	fixture_write(fixture, "", NODE);
	if (state != 0)
		add_to_journal(fixture, state);
}

static void remove_mdev_files(struct fixture *fixture)
{
	fixture_remove(fixture, "sys/bus/mdev/devices/" UUID);
	fixture_remove(fixture, "sys/devices/pci/" VF "/" UUID);
}

/* 0: no entry. */
static enum journal_state journal_state(struct fixture *fixture)
{
	struct journal_entry entry;
	struct err err;
	struct job job;
	int r;

	fixture_job(fixture, &policy, &job);
	r = journal_find(&job.journal, UUID, &entry, &err);
	fixture_job_done(&job);
	assert_true(r >= 0);
	return r == 0 ? 0 : entry.state;
}

static enum op_status run(struct fixture *fixture, const struct op_request *r,
			  void (*operation)(struct job *))
{
	struct fixture_answer answer;

	fixture_run(fixture, &policy, r, operation, &answer);
	assert_true(answer.result.message[0] != '\0');
	return answer.result.status;
}

static struct stat node_stat(struct fixture *fixture)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" NODE, fixture->root);
	assert_int_equal(lstat(path, &st), 0);
	return st;
}

/* ---- create ------------------------------------------------------------------------ */

static void expect_nothing_created(struct fixture *fixture)
{
	assert_int_equal(journal_state(fixture), 0);
	assert_string_equal(fixture_read(fixture, CREATE), "");
}

static void create_refuses_a_foreign_vendor(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);

	add_vf(*state, "0x8086\n", "0x030000\n");
	assert_int_equal(run(*state, &r, create_run), OP_REFUSED);
	expect_nothing_created(*state);
}

static void create_refuses_what_is_no_gpu(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);

	add_vf(*state, "0x10de\n", "0x020000\n");
	assert_int_equal(run(*state, &r, create_run), OP_REFUSED);
	expect_nothing_created(*state);
}

static void create_needs_parent_and_type(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);

	add_vf(*state, "0x10de\n", "0x030200\n");
	r.parent.function = 5;
	assert_int_equal(run(*state, &r, create_run), OP_NOT_FOUND);
	r = request(OP_CREATE_MDEV);
	strcpy(r.type, "nvidia-558");
	assert_int_equal(run(*state, &r, create_run), OP_NOT_FOUND);
	expect_nothing_created(*state);
}

static void create_leaves_an_existing_device_foreign(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);

	add_mdev(*state, 0);
	assert_int_equal(run(*state, &r, create_run), OP_EXISTS);
	expect_nothing_created(*state);
	/* Being removed: only its parent still knows it. */
	fixture_remove(*state, "sys/bus/mdev/devices/" UUID);
	assert_int_equal(run(*state, &r, create_run), OP_EXISTS);
	expect_nothing_created(*state);
}

static void create_does_not_begin_twice(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);

	add_mdev(*state, JOURNAL_INTENT);
	remove_mdev_files(*state);
	assert_int_equal(run(*state, &r, create_run), OP_EXISTS);
	assert_string_equal(fixture_read(*state, CREATE), "");
}

static void create_writes_the_uuid_and_believes_only_what_it_reads(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);

	add_vf(*state, "0x10de\n", "0x030200\n");
	assert_int_equal(run(*state, &r, create_run), OP_UNVERIFIED);
	assert_string_equal(fixture_read(*state, CREATE), UUID);
	assert_int_equal(journal_state(*state), JOURNAL_INTENT);
}

static void create_that_the_kernel_refuses_closes_its_intent(void **state)
{
	struct op_request r = request(OP_CREATE_MDEV);
	struct fixture_answer answer;

	add_vf(*state, "0x10de\n", "0x030200\n");
	fixture_remove(*state, CREATE);
	fixture_mkdir(*state, CREATE);
	fixture_run(*state, &policy, &r, create_run, &answer);
	assert_int_equal(answer.result.status, OP_KERNEL);
	assert_int_equal(answer.result.error, EISDIR);
	assert_int_equal(journal_state(*state), 0);
	assert_non_null(strstr(fixture_read(*state, "journal/journal"), "intent "));
	assert_non_null(strstr(fixture_read(*state, "journal/journal"), "failed "));
}

/* ---- remove ------------------------------------------------------------------------ */

static void remove_never_touches_a_foreign_device(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);
	struct stat before, after;

	add_mdev(*state, 0);
	before = node_stat(*state);
	assert_int_equal(run(*state, &r, remove_run), OP_REFUSED);
	after = node_stat(*state);
	assert_string_equal(fixture_read(*state, REMOVE), "");
	assert_int_equal(before.st_mode, after.st_mode);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

static void remove_compares_type_and_parent_with_the_journal(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);

	add_mdev(*state, JOURNAL_CREATED);
	r.parent.function = 5;
	assert_int_equal(run(*state, &r, remove_run), OP_REFUSED);
	remove_mdev_files(*state);
	fixture_add_mdev(*state, VF, "nvidia-558", UUID, GROUP);
	r = request(OP_REMOVE_MDEV);
	assert_int_equal(run(*state, &r, remove_run), OP_REFUSED);
	assert_string_equal(fixture_read(*state, REMOVE), "");
}

static void remove_of_what_is_gone_forgets_it_unless_it_may_yet_come(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);

	assert_int_equal(run(*state, &r, remove_run), OP_NOT_FOUND);
	add_mdev(*state, JOURNAL_INTENT);
	remove_mdev_files(*state);
	assert_int_equal(run(*state, &r, remove_run), OP_NOT_FOUND);
	assert_int_equal(journal_state(*state), JOURNAL_INTENT);
}

static void remove_of_a_made_device_that_is_gone_forgets_it(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);

	add_mdev(*state, JOURNAL_CREATED);
	remove_mdev_files(*state);
	assert_int_equal(run(*state, &r, remove_run), OP_NOT_FOUND);
	assert_int_equal(journal_state(*state), 0);
}

static void remove_takes_the_node_back_first_and_believes_only_what_it_reads(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);
	struct stat st;

	add_mdev(*state, JOURNAL_INTENT);
	assert_int_equal(run(*state, &r, remove_run), OP_UNVERIFIED);
	st = node_stat(*state);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_string_equal(fixture_read(*state, REMOVE), "1");
	assert_int_equal(journal_state(*state), JOURNAL_INTENT);
}

static void remove_of_a_half_removed_device_says_in_use(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);

	add_mdev(*state, JOURNAL_CREATED);
	fixture_remove(*state, "sys/bus/mdev/devices/" UUID);
	assert_int_equal(run(*state, &r, remove_run), OP_IN_USE);
	assert_int_equal(journal_state(*state), JOURNAL_CREATED);
}

/* ---- access ------------------------------------------------------------------------ */

static void grant_is_for_the_group_and_revoke_undoes_it(void **state)
{
	struct op_request r = request(OP_GRANT_NODE);
	struct stat st;

	if (geteuid() != 0)
		skip(); /* chown */
	add_mdev(*state, JOURNAL_CREATED);
	r.gid = 70000;
	assert_int_equal(run(*state, &r, access_grant_run), OP_OK);
	st = node_stat(*state);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 70000);
	assert_int_equal(st.st_mode & 07777, 0660);
	r.kind = OP_REVOKE_NODE;
	assert_int_equal(run(*state, &r, access_revoke_run), OP_OK);
	st = node_stat(*state);
	assert_int_equal(st.st_gid, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void grant_refuses_strangers_and_foreign_devices(void **state)
{
	struct op_request r = request(OP_GRANT_NODE);
	struct stat before, after;

	add_mdev(*state, 0);
	before = node_stat(*state);
	r.gid = 70000;
	assert_int_equal(run(*state, &r, access_grant_run), OP_REFUSED);
	r.kind = OP_REVOKE_NODE;
	assert_int_equal(run(*state, &r, access_revoke_run), OP_REFUSED);
	add_to_journal(*state, JOURNAL_CREATED);
	r.kind = OP_GRANT_NODE;
	for (uint32_t gid = 69999; gid <= 70011; gid += 12) {
		r.gid = gid;
		assert_int_equal(run(*state, &r, access_grant_run), OP_REFUSED);
	}
	r.gid = 0;
	assert_int_equal(run(*state, &r, access_grant_run), OP_REFUSED);
	after = node_stat(*state);
	assert_int_equal(before.st_gid, after.st_gid);
	assert_int_equal(before.st_mode, after.st_mode);
}

/* A device node in a simulated tree would open a real device. */
static void a_simulated_node_is_a_plain_file(void **state)
{
	struct fixture *fixture = *state;
	struct op_request r = request(OP_GRANT_NODE);
	char path[96];

	if (geteuid() != 0)
		skip(); /* mknod */
	add_mdev(fixture, JOURNAL_CREATED);
	r.gid = 70000;
	snprintf(path, sizeof(path), "%s/" NODE, fixture->root);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(run(fixture, &r, access_grant_run), OP_KERNEL);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(run(fixture, &r, access_grant_run), OP_KERNEL);
	rmdir(path);
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) < 0)
		skip(); /* a container may forbid it */
	assert_int_equal(run(fixture, &r, access_grant_run), OP_KERNEL);
	assert_int_equal(node_stat(fixture).st_gid, 0);
}

static void a_holder_is_named(void **state)
{
	struct fixture *fixture = *state;
	struct op_request r = request(OP_FIND_HOLDERS);
	struct fixture_answer answer;
	char path[96];
	pid_t pid;

	add_mdev(fixture, JOURNAL_CREATED);
	fixture_run(fixture, &policy, &r, access_holders_run, &answer);
	assert_int_equal(answer.result.status, OP_OK);
	assert_int_equal(answer.count, 0);

	snprintf(path, sizeof(path), "%s/" NODE, fixture->root);
	pid = fork();
	if (pid == 0) {
		if (open(path, O_RDONLY) < 0)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	fixture_run(fixture, &policy, &r, access_holders_run, &answer);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.records[0].kind, OP_RECORD_HOLDER);
	assert_int_equal(answer.records[0].holder.pid, pid);
	assert_int_equal(answer.records[0].holder.uid, getuid());
	assert_int_equal(answer.records[0].holder.certain, 1);
	assert_string_equal(answer.records[0].holder.command, "test_gpu_agent_");
}

/* ---- what killed workers left ------------------------------------------------------ */

/* An intent whose writer is dead when this returns. */
static void leave_intent(struct fixture *fixture)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		add_to_journal(fixture, JOURNAL_INTENT);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(journal_state(fixture), JOURNAL_INTENT);
}

static void settle(struct fixture *fixture)
{
	struct err err;
	struct job job;

	fixture_job(fixture, &policy, &job);
	assert_int_equal(settle_run(&job.host, &job.journal, &err), 0);
	fixture_job_done(&job);
}

static void what_a_killed_worker_did_not_create_is_nobodys(void **state)
{
	struct op_request r = request(OP_REMOVE_MDEV);

	leave_intent(*state);
	settle(*state);
	assert_int_equal(journal_state(*state), 0);
	add_mdev(*state, 0);
	assert_int_equal(run(*state, &r, remove_run), OP_REFUSED);
}

static void what_a_killed_worker_created_is_ours(void **state)
{
	add_mdev(*state, 0);
	leave_intent(*state);
	settle(*state);
	assert_int_equal(journal_state(*state), JOURNAL_CREATED);
}

static void what_a_living_worker_is_at_stays_open(void **state)
{
	add_to_journal(*state, JOURNAL_INTENT);
	settle(*state);
	assert_int_equal(journal_state(*state), JOURNAL_INTENT);
}

static void an_intent_whose_device_cannot_be_read_stays_open(void **state)
{
	add_vf(*state, "0x10de\n", "0x030200\n");
	fixture_add_mdev(*state, VF, TYPE, UUID, "not-a-number");
	leave_intent(*state);
	settle(*state);
	assert_int_equal(journal_state(*state), JOURNAL_INTENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(create_refuses_a_foreign_vendor),
		TEST(create_refuses_what_is_no_gpu),
		TEST(create_needs_parent_and_type),
		TEST(create_leaves_an_existing_device_foreign),
		TEST(create_does_not_begin_twice),
		TEST(create_writes_the_uuid_and_believes_only_what_it_reads),
		TEST(create_that_the_kernel_refuses_closes_its_intent),
		TEST(remove_never_touches_a_foreign_device),
		TEST(remove_compares_type_and_parent_with_the_journal),
		TEST(remove_of_what_is_gone_forgets_it_unless_it_may_yet_come),
		TEST(remove_of_a_made_device_that_is_gone_forgets_it),
		TEST(remove_takes_the_node_back_first_and_believes_only_what_it_reads),
		TEST(remove_of_a_half_removed_device_says_in_use),
		TEST(grant_is_for_the_group_and_revoke_undoes_it),
		TEST(grant_refuses_strangers_and_foreign_devices),
		TEST(a_simulated_node_is_a_plain_file),
		TEST(a_holder_is_named),
		TEST(what_a_killed_worker_did_not_create_is_nobodys),
		TEST(what_a_killed_worker_created_is_ours),
		TEST(what_a_living_worker_is_at_stays_open),
		TEST(an_intent_whose_device_cannot_be_read_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
