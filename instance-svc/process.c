/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scoped.h"

#define CANCEL_POLL_MS	     50
#define OUTPUT_DEFAULT_BYTES (64 * 1024)

extern char **environ;

/*
 * Starting. The child's descriptors are first copied above every target number, so that no
 * dup2 overwrites a source that is still needed.
 */

struct fd_plan {
	int *copies;  /* owned, and the descriptors in it */
	size_t count; /* copies[i] becomes descriptor i in the child */
};

static void fd_plan_done(struct fd_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->copies[i] >= 0)
			close(plan->copies[i]);
	}
	free(plan->copies);
}

static int fd_plan_source(const struct process_spec *spec, size_t target)
{
	switch (target) {
	case STDIN_FILENO:
		return spec->in;
	case STDOUT_FILENO:
		return spec->out;
	case STDERR_FILENO:
		return spec->err;
	default:
		return spec->fds[target - 3];
	}
}

static int fd_plan_make(const struct process_spec *spec, struct fd_plan *plan)
{
	size_t count = 3 + spec->fd_count;

	plan->copies = malloc(count * sizeof(*plan->copies));
	if (!plan->copies)
		return -ENOMEM;
	for (plan->count = 0; plan->count < count; plan->count++) {
		int source = fd_plan_source(spec, plan->count);
		scoped_fd int null_fd = -1;
		int copy;

		if (source == 0) {
			null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
			source = null_fd;
		}
		copy = source < 0 ? -1 : fcntl(source, F_DUPFD_CLOEXEC, (int)count);
		if (copy < 0)
			return -errno;
		plan->copies[plan->count] = copy;
	}
	return 0;
}

static int spawn_actions(posix_spawn_file_actions_t *actions, const struct process_spec *spec,
			 const struct fd_plan *plan)
{
	int r = 0;

	for (size_t i = 0; i < plan->count && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(actions, plan->copies[i], (int)i);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, (int)plan->count);
	if (r == 0 && spec->directory)
		r = posix_spawn_file_actions_addchdir_np(actions, spec->directory);
	return -r;
}

static int spawn_attributes(posix_spawnattr_t *attributes, bool new_session)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	flags |= new_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setpgroup(attributes, 0);
	return -posix_spawnattr_setflags(attributes, flags);
}

/* posix_spawn wants char *const[]; it changes neither array. */
static char **spawn_vector(const char *const *vector)
{
	union {
		const char *const *in;
		char **out;
	} cast = { .in = vector };

	return cast.out;
}

static int spawn(const struct process_spec *spec, const struct fd_plan *plan, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = -posix_spawn_file_actions_init(&actions);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attributes);
	if (r < 0)
		goto undo_actions;
	r = spawn_actions(&actions, spec, plan);
	if (r == 0)
		r = spawn_attributes(&attributes, spec->new_session);
	if (r == 0)
		r = -posix_spawnp(ret_pid, spec->argv[0], &actions, &attributes,
				  spawn_vector(spec->argv),
				  spec->env ? spawn_vector(spec->env) : environ);
	posix_spawnattr_destroy(&attributes);
undo_actions:
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

int process_start(const struct process_spec *spec, struct process *ret, struct err *err)
{
	struct fd_plan plan = { 0 };
	struct process process = PROCESS_NONE;
	int r;

	r = fd_plan_make(spec, &plan);
	if (r == 0)
		r = spawn(spec, &plan, &process.pid);
	fd_plan_done(&plan);
	if (r < 0)
		return err_sys(err, r, "cannot start %s", spec->argv[0]);

	process.pidfd = (int)syscall(SYS_pidfd_open, process.pid, 0);
	if (process.pidfd < 0) {
		r = -errno;
		process_kill(&process);
		return err_sys(err, r, "cannot watch %s", spec->argv[0]);
	}
	*ret = process;
	return 0;
}

/* Waiting and ending. */

int process_wait(struct process *process, int timeout_ms, int *status)
{
	struct pollfd ended = { .fd = process->pidfd, .events = POLLIN };
	long long deadline = clock_monotonic_ms() + timeout_ms;
	int taken = 0;

	while (timeout_ms >= 0 && poll(&ended, 1, timeout_ms) <= 0) {
		long long left = deadline - clock_monotonic_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		timeout_ms = (int)left;
	}
	while (waitpid(process->pid, &taken, 0) < 0 && errno == EINTR)
		;
	if (process->pidfd >= 0)
		close(process->pidfd);
	*process = PROCESS_NONE;
	if (status)
		*status = taken;
	return 0;
}

void process_signal(const struct process *process, int signal)
{
	if (process->pid > 0)
		kill(process->pid, signal);
}

void process_signal_group(const struct process *process, int signal)
{
	if (process->pid > 0)
		kill(-process->pid, signal);
}

void process_kill(struct process *process)
{
	if (process->pid <= 0)
		return;
	process_signal_group(process, SIGKILL);
	process_wait(process, -1, NULL);
}

/* Running to the end with captured output. */

struct capture {
	int fd;	      /* our end of the pipe, -1 once it ended */
	size_t limit; /* bytes kept */
	struct process_text *into;
};

static int capture_open(struct capture *capture, size_t limit, struct process_text *into,
			int *ret_child_fd)
{
	int ends[2];

	capture->into = into;
	capture->limit = limit > 0 ? limit : OUTPUT_DEFAULT_BYTES;
	into->text = calloc(1, capture->limit + 1);
	if (!into->text)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	capture->fd = ends[0];
	*ret_child_fd = ends[1];
	return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static void capture_read(struct capture *capture)
{
	struct process_text *into = capture->into;
	char chunk[4096];
	ssize_t n;

	while ((n = read(capture->fd, chunk, sizeof(chunk))) > 0) {
		size_t room = capture->limit - into->length;
		size_t kept = (size_t)n < room ? (size_t)n : room;

		memcpy(into->text + into->length, chunk, kept);
		into->length += kept;
		into->truncated = into->truncated || kept < (size_t)n;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(capture->fd);
		capture->fd = -1;
	}
}

static bool is_cancelled(const struct process_limits *limits)
{
	return limits->cancelled && __atomic_load_n(limits->cancelled, __ATOMIC_RELAXED);
}

/* Until the child ended; a grandchild that keeps the pipes open is not waited for. */
static int run_loop(struct process *process, const struct process_limits *limits,
		    struct capture captures[2], const char *program, struct err *err)
{
	long long deadline =
		limits->timeout_ms > 0 ? clock_monotonic_ms() + limits->timeout_ms : LLONG_MAX;

	for (;;) {
		struct pollfd polls[3] = {
			{ .fd = process->pidfd, .events = POLLIN },
			{ .fd = captures[0].fd, .events = POLLIN },
			{ .fd = captures[1].fd, .events = POLLIN },
		};

		if (is_cancelled(limits))
			return err_set(err, ERR_CANCELLED, "%s was cancelled", program);
		if (limits->look && limits->look(limits->look_user, err) < 0)
			return -1;
		if (clock_monotonic_ms() >= deadline)
			return err_set(err, ERR_UNAVAILABLE, "%s did not end within %d s", program,
				       limits->timeout_ms / 1000);
		if (poll(polls, 3, CANCEL_POLL_MS) < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot wait for %s", program);
		for (int i = 0; i < 2; i++) {
			if (captures[i].fd >= 0)
				capture_read(&captures[i]);
		}
		if (polls[0].revents)
			return 0;
	}
}

static int run_captured(const struct process_spec *spec, const struct process_limits *limits,
			struct process_result *result, struct err *err)
{
	struct capture captures[2] = { { .fd = -1 }, { .fd = -1 } };
	struct process process = PROCESS_NONE;
	struct process_spec child = *spec;
	scoped_fd int out_fd = -1, err_fd = -1; /* the child's ends */
	scoped_fd int out_end = -1, err_end = -1;
	int r;

	r = capture_open(&captures[0], limits->out_bytes, &result->out, &out_fd);
	if (r == 0)
		r = capture_open(&captures[1], limits->err_bytes, &result->err, &err_fd);
	child.out = out_fd;
	child.err = err_fd;
	if (r < 0)
		r = err_sys(err, r, "cannot capture the output of %s", spec->argv[0]);
	else
		r = process_start(&child, &process, err);
	if (r == 0) {
		close(TAKE_FD(out_fd));
		close(TAKE_FD(err_fd));
		r = run_loop(&process, limits, captures, spec->argv[0], err);
	}
	if (r == 0)
		process_wait(&process, -1, &result->status);
	else
		process_kill(&process);
	out_end = captures[0].fd;
	err_end = captures[1].fd;
	return r;
}

int process_run(const struct process_spec *spec, const struct process_limits *limits,
		struct process_result *ret, struct err *err)
{
	struct process_result result = { 0 };

	if (run_captured(spec, limits, &result, err) < 0) {
		process_result_done(&result);
		return -1;
	}
	*ret = result;
	return 0;
}

void process_result_done(struct process_result *result)
{
	free(result->out.text);
	free(result->err.text);
	*result = (struct process_result){ 0 };
}

struct process_status_text process_status_text(int status)
{
	struct process_status_text text;

	if (WIFSIGNALED(status))
		snprintf(text.s, sizeof(text.s), "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(text.s, sizeof(text.s), "exited with status %d", WEXITSTATUS(status));
	return text;
}
