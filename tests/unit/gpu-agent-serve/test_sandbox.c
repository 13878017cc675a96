/* SPDX-License-Identifier: Apache-2.0 */
/* What the filter lets a process do, tried by children. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu-agent/serve/sandbox.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NO_FILTER    99 /* the exit status of a child that could not load it */

/* The wait status of a child that acts under the filter; it exits with what `act` returns. */
static int status_of(int (*act)(void))
{
	struct err err;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sandbox_enter(&err) ? NO_FILTER : act());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* 0, or errno of a call that failed. */
static int answer(long result)
{
	return result < 0 ? errno : 0;
}

/* ---- what serving needs ------------------------------------------------------------------ */

static int use_socket(void)
{
	char byte = 'x';
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || write(ends[0], &byte, 1) != 1)
		return 1;
	return read(ends[1], &byte, 1) != 1;
}

static int use_tcp(void)
{
	return answer(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int hear_of_devices(void)
{
	return answer(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
}

/* In the filter's reach too: it inherits it. */
static void *make_folder_in_thread(void *argument)
{
	*(int *)argument = pthread_setname_np(pthread_self(), "named")
				   ? 0
				   : answer(mkdir("/tmp/not-allowed", 0700));
	return NULL;
}

static int start_thread(void)
{
	pthread_t thread;
	int refusal = 0;

	if (pthread_create(&thread, NULL, make_folder_in_thread, &refusal) ||
	    pthread_join(thread, NULL))
		return 1;
	return refusal != EPERM;
}

static int keep_file(void)
{
	char path[] = "/tmp/test-sandbox-XXXXXX";
	int fd = mkstemp(path);

	return fd < 0 || pwrite(fd, "x", 1, 0) != 1 || fsync(fd) || fchmod(fd, 0600) ||
	       unlink(path);
}

static int fail_assertion(void)
{
	abort();
}

/* ---- what it does not ---------------------------------------------------------------------- */

static int make_folder(void)
{
	return answer(mkdir("/tmp/not-allowed", 0700));
}

static int make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return answer(pid);
}

static int kill_parent(void)
{
	return answer(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int see_packets(void)
{
	return answer(socket(AF_PACKET, SOCK_RAW, 0));
}

static int ask_for_routes(void)
{
	return answer(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static int map_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int make_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? 1 : answer(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int set_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? 1 : answer(setrlimit(RLIMIT_NOFILE, &limit));
}

static int type_for_user(void)
{
	return answer(ioctl(0, TIOCSTI, "x"));
}

static int be_dumpable(void)
{
	return answer(prctl(PR_SET_DUMPABLE, 1));
}

/* ---- what only an intruder does ------------------------------------------------------------ */

static int run_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static int trace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int change_user(void)
{
	return setuid(0);
}

static int mount_folder(void)
{
	return mount("none", "/nowhere", "tmpfs", 0, NULL);
}

static int leave_namespace(void)
{
	return (int)syscall(SYS_unshare, 0);
}

static int open_by_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, -1, NULL, 0);
}

static int load_module(void)
{
	return (int)syscall(SYS_finit_module, -1, "", 0);
}

static int load_bpf(void)
{
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void expect_exits(int (*const *acts)(void), size_t count, int code)
{
	for (size_t i = 0; i < count; i++) {
		int status = status_of(acts[i]);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), code);
	}
}

static void what_serving_needs_works(void **state)
{
	static int (*const acts[])(void) = { use_socket, use_tcp, hear_of_devices, start_thread,
					     keep_file };

	(void)state;
	if (!SANDBOX_FILTERS)
		skip();
	expect_exits(acts, COUNT(acts), 0);
}

static void what_is_not_listed_fails(void **state)
{
	static int (*const acts[])(void) = { make_folder,    make_process, kill_parent, see_packets,
					     ask_for_routes, map_code,	   make_code,	set_limit,
					     type_for_user,  be_dumpable };

	(void)state;
	if (!SANDBOX_FILTERS)
		skip();
	expect_exits(acts, COUNT(acts), EPERM);
}

static void what_only_an_intruder_does_is_deadly(void **state)
{
	static int (*const acts[])(void) = { run_program,  trace,	    change_user,
					     mount_folder, leave_namespace, open_by_handle,
					     load_module,  load_bpf };

	(void)state;
	if (!SANDBOX_FILTERS)
		skip();
	for (size_t i = 0; i < COUNT(acts); i++) {
		int status = status_of(acts[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

static void a_failed_assertion_is_not_taken_for_an_intruder(void **state)
{
	int status;

	(void)state;
	if (!SANDBOX_FILTERS)
		skip();
	status = status_of(fail_assertion);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* As a systemd unit does whose SystemCallFilter= has no seccomp. Says whether that is told. */
static int enter_where_refused(void)
{
	scmp_filter_ctx outside = seccomp_init(SCMP_ACT_ALLOW);
	struct err err;

	if (!outside ||
	    seccomp_rule_add(outside, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) != 0 ||
	    seccomp_load(outside) != 0)
		return 1;
	seccomp_release(outside);
	if (sandbox_enter(&err) == 0)
		return 2;
	return strstr(err.message, "no filter outside refuses seccomp()") ? 0 : 3;
}

static void a_filter_that_cannot_be_loaded_is_told(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (!SANDBOX_FILTERS)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(enter_where_refused());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_serving_needs_works),
		cmocka_unit_test(what_is_not_listed_fails),
		cmocka_unit_test(what_only_an_intruder_does_is_deadly),
		cmocka_unit_test(a_failed_assertion_is_not_taken_for_an_intruder),
		cmocka_unit_test(a_filter_that_cannot_be_loaded_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
