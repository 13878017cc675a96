/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGV(...)     ((const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(script) ((struct process_spec){ .argv = ARGV("/bin/sh", "-c", script) })

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static struct process_result run(struct process_spec spec, struct process_limits limits)
{
	struct process_result result;
	struct err err;

	assert_int_equal(process_run(&spec, &limits, &result, &err), 0);
	return result;
}

static void output_and_status_come_back(void **state)
{
	struct process_result result;

	(void)state;
	result = run(SHELL("echo to out; echo to err >&2; exit 3"), (struct process_limits){ 0 });
	assert_string_equal(result.out.text, "to out\n");
	assert_string_equal(result.err.text, "to err\n");
	assert_false(result.out.truncated);
	assert_int_equal(WEXITSTATUS(result.status), 3);
	assert_string_equal(PROCESS_STATUS_STR(result.status), "exited with status 3");
	process_result_done(&result);

	result = run(SHELL("kill -9 $$"), (struct process_limits){ 0 });
	assert_string_equal(PROCESS_STATUS_STR(result.status), "was killed by signal 9 (Killed)");
	process_result_done(&result);
}

static void long_output_is_cut_and_drained(void **state)
{
	struct process_result result;

	(void)state;
	result = run(SHELL("head -c 300000 /dev/zero | tr '\\0' x; echo done >&2"),
		     (struct process_limits){ .out_bytes = 1000 });
	assert_int_equal(result.out.length, 1000);
	assert_int_equal(strlen(result.out.text), 1000);
	assert_true(result.out.truncated);
	assert_string_equal(result.err.text, "done\n");
	process_result_done(&result);
}

static void descriptors_arrive_in_order_and_no_others_do(void **state)
{
	struct process_spec spec = SHELL("cat <&4; cat <&3; ls /proc/self/fd | tr '\\n' ' '");
	int first[2], second[2], inherited;
	struct process_result result;

	(void)state;
	assert_int_equal(pipe(first), 0);
	assert_int_equal(pipe(second), 0);
	inherited = dup(first[0]); /* not close-on-exec: only closefrom keeps it away */
	assert_int_equal(write(first[1], "first ", 6), 6);
	assert_int_equal(write(second[1], "second ", 7), 7);
	close(first[1]);
	close(second[1]);

	spec.fds = (int[]){ first[0], second[0] };
	spec.fd_count = 2;
	result = run(spec, (struct process_limits){ 0 });
	/* ls itself holds 0 1 2, the two given, and the directory it lists. */
	assert_string_equal(result.out.text, "second first 0 1 2 3 4 5 ");
	process_result_done(&result);
	close(first[0]);
	close(second[0]);
	close(inherited);
}

static void a_source_may_be_anothers_target(void **state)
{
	struct process_spec spec = SHELL("cat <&3; cat <&4");
	int low[2], high[2];
	struct process_result result;

	(void)state;
	assert_int_equal(pipe(low), 0);
	assert_int_equal(pipe(high), 0);
	assert_int_equal(write(low[1], "low ", 4), 4);
	assert_int_equal(write(high[1], "high ", 5), 5);
	close(low[1]);
	close(high[1]);
	assert_true(low[0] < high[0]);

	spec.fds = (int[]){ high[0], low[0] };
	spec.fd_count = 2;
	result = run(spec, (struct process_limits){ 0 });
	assert_string_equal(result.out.text, "high low ");
	process_result_done(&result);
	close(low[0]);
	close(high[0]);
}

static void environment_directory_and_stdin_are_as_given(void **state)
{
	struct process_spec spec = SHELL("echo \"$A,$HOME,$PWD\"; cat");
	struct process_result result;

	(void)state;
	spec.env = ARGV("A=1");
	spec.directory = "/usr/lib";
	result = run(spec, (struct process_limits){ 0 });
	assert_string_equal(result.out.text, "1,,/usr/lib\n");
	process_result_done(&result);
}

static void a_child_gets_default_signals(void **state)
{
	struct process_result result;
	sigset_t blocked;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	result = run(SHELL("grep -E '^Sig(Blk|Ign)' /proc/self/status"),
		     (struct process_limits){ 0 });
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* glibc leaves its own two signals, 32 and 33, ignored in what it spawns. */
	assert_string_equal(result.out.text, "SigBlk:\t0000000000000000\n"
					     "SigIgn:\t0000000180000000\n");
	process_result_done(&result);
}

static void a_missing_program_is_named(void **state)
{
	struct process_spec spec = { .argv = ARGV("/nonexistent/tool") };
	struct process_result result;
	struct process_limits limits = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(process_run(&spec, &limits, &result, &err), -1);
	assert_string_equal(err.message,
			    "cannot start /nonexistent/tool: No such file or directory");
}

static void the_deadline_kills_the_whole_group(void **state)
{
	struct process_spec spec = SHELL("sleep 60 & echo $! ; wait");
	struct process_limits limits = { .timeout_ms = 200 };
	struct process_result result;
	long long began = now_ms();
	int held[2];
	char byte;
	struct err err;

	(void)state;
	assert_int_equal(pipe2(held, O_CLOEXEC), 0);
	spec.fds = &held[1];
	spec.fd_count = 1;
	assert_int_equal(process_run(&spec, &limits, &result, &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	assert_true(now_ms() - began < 5000);

	/* End of file: nobody of the group, sleep included, holds the pipe any more. */
	close(held[1]);
	assert_int_equal(read(held[0], &byte, 1), 0);
	close(held[0]);
}

static void *cancel_soon(void *flag)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	__atomic_store_n((volatile bool *)flag, true, __ATOMIC_RELAXED);
	return NULL;
}

static void cancelling_is_prompt(void **state)
{
	struct process_spec spec = SHELL("trap '' TERM; sleep 60");
	volatile bool cancelled = false;
	struct process_limits limits = { .cancelled = &cancelled };
	struct process_result result;
	long long began = now_ms();
	struct err err;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, cancel_soon, (void *)(uintptr_t)&cancelled);
	assert_int_equal(process_run(&spec, &limits, &result, &err), -1);
	pthread_join(thread, NULL);
	assert_int_equal(err.reason, ERR_CANCELLED);
	assert_true(now_ms() - began < 5000);
}

static void waiting_can_be_short(void **state)
{
	struct process_spec spec = SHELL("read line; exit 7");
	struct process process = PROCESS_NONE;
	int ends[2], status;
	struct err err;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	spec.in = ends[0];
	assert_int_equal(process_start(&spec, &process, &err), 0);
	assert_int_equal(process_wait(&process, 0, &status), -ETIMEDOUT);
	assert_int_equal(process_wait(&process, 50, &status), -ETIMEDOUT);
	assert_true(process.pid > 0);

	close(ends[1]);
	assert_int_equal(process_wait(&process, 5000, &status), 0);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(process.pid, 0);
	process_kill(&process);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status_come_back),
		cmocka_unit_test(long_output_is_cut_and_drained),
		cmocka_unit_test(descriptors_arrive_in_order_and_no_others_do),
		cmocka_unit_test(a_source_may_be_anothers_target),
		cmocka_unit_test(environment_directory_and_stdin_are_as_given),
		cmocka_unit_test(a_child_gets_default_signals),
		cmocka_unit_test(a_missing_program_is_named),
		cmocka_unit_test(the_deadline_kills_the_whole_group),
		cmocka_unit_test(cancelling_is_prompt),
		cmocka_unit_test(waiting_can_be_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
