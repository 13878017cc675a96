/* SPDX-License-Identifier: Apache-2.0 */
/* What the filter lets a process do, tried by children. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu-agent/serve/sandbox.h"

/* The wait status of a child that acts under the filter; it exits with what `act` returns. */
static int status_of(int (*act)(void))
{
	struct err err;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sandbox_enter(&err) ? 99 : act());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int use_socket(void)
{
	char byte = 'x';
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || write(ends[0], &byte, 1) != 1)
		return 1;
	return read(ends[1], &byte, 1) != 1;
}

static int make_folder(void)
{
	return mkdir("/tmp/not-allowed", 0700) == 0 ? 0 : errno;
}

static int change_user(void)
{
	return setuid(0) == 0 ? 0 : errno;
}

static int run_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static int trace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void what_serving_needs_works(void **state)
{
	int status = status_of(use_socket);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_is_not_listed_fails(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(status_of(make_folder)), EPERM);
	assert_int_equal(WEXITSTATUS(status_of(change_user)), EPERM);
}

static void what_only_an_intruder_does_is_deadly(void **state)
{
	static int (*const acts[])(void) = { run_program, trace };

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int status = status_of(acts[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_serving_needs_works),
		cmocka_unit_test(what_is_not_listed_fails),
		cmocka_unit_test(what_only_an_intruder_does_is_deadly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
