/* SPDX-License-Identifier: Apache-2.0 */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scoped.h"

/* Above every target, so that moving one descriptor into place never closes another. */
#define STAGING_FD 100

/*
 * How far the child got, as it tells on the channel. After JAILED the channel is closed by
 * exec; anything else says at which step it failed.
 */
enum step {
	STEP_UNSHARED = 1,
	STEP_FAILED_UNSHARE,
	STEP_FAILED_IDS,
	STEP_FAILED_FDS,
	STEP_FAILED_EXEC,
};

struct message {
	int step;
	int error;
};

static const char *const failures[] = {
	[STEP_FAILED_UNSHARE] = "cannot make a user namespace",
	[STEP_FAILED_IDS] = "cannot take the subordinate user and group",
	[STEP_FAILED_FDS] = "cannot hand over descriptors",
	[STEP_FAILED_EXEC] = "cannot execute",
};

static void tell(int channel, int step, int error)
{
	struct message message = { step, error };

	if (write(channel, &message, sizeof(message)) < 0)
		_exit(127);
}

static _Noreturn void give_up(int channel, int step)
{
	tell(channel, step, errno);
	_exit(127);
}

static int place_fds(const struct jail_spec *spec, int *channel)
{
	int staged[JAIL_FDS_MAX];
	int output = fcntl(spec->output, F_DUPFD_CLOEXEC, STAGING_FD);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int moved = fcntl(*channel, F_DUPFD_CLOEXEC, STAGING_FD);

	if (output < 0 || null < 0 || moved < 0)
		return -1;
	*channel = moved;
	for (size_t i = 0; i < spec->fd_count; i++) {
		staged[i] = spec->fds[i].source < 0
				    ? -1
				    : fcntl(spec->fds[i].source, F_DUPFD_CLOEXEC, STAGING_FD);
		if (spec->fds[i].source >= 0 && staged[i] < 0)
			return -1;
	}
	if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		return -1;
	/* Whatever else is open, also by mistake, ends at exec. */
	if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		return -1;
	for (size_t i = 0; i < spec->fd_count; i++)
		if (staged[i] >= 0 && dup2(staged[i], spec->fds[i].target) < 0)
			return -1;
	return 0;
}

/* A core file would bring a guest's memory to the host's disk. */
static void reset_process(void)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t none;

	(void)setrlimit(RLIMIT_CORE, &no_core);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static _Noreturn void run_child(const struct jail_spec *spec, int channel, pid_t parent)
{
	char go;

	if (unshare(CLONE_NEWUSER) < 0)
		give_up(channel, STEP_FAILED_UNSHARE);
	tell(channel, STEP_UNSHARED, 0);
	if (read(channel, &go, 1) != 1)
		_exit(127); /* the parent could not map the ids */
	if (setgroups(0, NULL) < 0 || setresgid(JAIL_INNER_ID, JAIL_INNER_ID, JAIL_INNER_ID) < 0 ||
	    setresuid(JAIL_INNER_ID, JAIL_INNER_ID, JAIL_INNER_ID) < 0)
		give_up(channel, STEP_FAILED_IDS);
	if (!spec->argv) {
		(void)kill(-1, SIGKILL); /* every other process of this user, and no other's */
		_exit(0);
	}
	/* Changing the ids cleared it. The parent may have died before it was set. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	if (place_fds(spec, &channel) < 0)
		give_up(channel, STEP_FAILED_FDS);
	reset_process();
	execvp(spec->argv[0], spec->argv);
	give_up(channel, STEP_FAILED_EXEC);
}

/* newuidmap or newgidmap for one id. */
static int map_id(const char *program, pid_t child, unsigned id, struct err *err)
{
	char pid_text[16], inner_text[16], id_text[16];
	char *argv[] = { (char *)(uintptr_t)program, pid_text, inner_text, id_text,
			 (char *)(uintptr_t) "1",    NULL };
	pid_t pid;
	int status, r;

	snprintf(pid_text, sizeof(pid_text), "%d", (int)child);
	snprintf(inner_text, sizeof(inner_text), "%d", JAIL_INNER_ID);
	snprintf(id_text, sizeof(id_text), "%u", id);
	r = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
	if (r != 0)
		return err_sys(err, r, "cannot run %s (package uidmap)", program);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_INTERNAL,
			       "%s refuses id %u: it must lie in our range of /etc/sub%s", program,
			       id, strcmp(program, "newuidmap") == 0 ? "uid" : "gid");
	return 0;
}

static const char *name_of(const struct jail_spec *spec)
{
	return spec->argv ? spec->argv[0] : "the sweep";
}

/* 0 when the program runs. */
static int lead_child(const struct jail_spec *spec, pid_t child, int channel, struct err *err)
{
	struct message message = { 0 };
	ssize_t n = read(channel, &message, sizeof(message));

	if (n == (ssize_t)sizeof(message) && message.step == STEP_UNSHARED) {
		if (map_id("newuidmap", child, spec->uid, err) < 0 ||
		    map_id("newgidmap", child, spec->gid, err) < 0)
			return -1;
		if (write(channel, "", 1) != 1)
			return err_sys(err, errno, "cannot start %s", name_of(spec));
		n = read(channel, &message, sizeof(message));
		if (n == 0)
			return 0; /* exec, or the end of the sweep, closed it */
	}
	if (n != (ssize_t)sizeof(message) || message.step <= STEP_UNSHARED ||
	    message.step > STEP_FAILED_EXEC)
		return err_set(err, ERR_INTERNAL, "cannot start %s: it died before exec",
			       name_of(spec));
	return err_sys(err, message.error, "cannot start %s: %s", name_of(spec),
		       failures[message.step]);
}

int jail_start(const struct jail_spec *spec, pid_t *ret, struct err *err)
{
	pid_t parent = getpid();
	scoped_fd int channel = -1;
	int ends[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, errno, "cannot start %s", name_of(spec));
	channel = ends[0];
	child = fork();
	if (child == 0) {
		close(ends[0]);
		run_child(spec, ends[1], parent);
	}
	close(ends[1]);
	if (child < 0)
		return err_sys(err, errno, "cannot start %s", name_of(spec));
	if (lead_child(spec, child, channel, err) < 0) {
		kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		return -1;
	}
	*ret = child;
	return 0;
}

int jail_sweep(uid_t uid, gid_t gid, struct err *err)
{
	const struct jail_spec spec = { .uid = uid, .gid = gid, .output = -1 };
	pid_t child;

	if (jail_start(&spec, &child, err) < 0)
		return -1;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}
