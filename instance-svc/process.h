/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes.
 *
 * A child starts with nothing of ours but what its spec names: descriptors 0, 1, 2 and the
 * listed ones from 3 up (all others are closed), no blocked or ignored signals, a process
 * group of its own. Whoever started it waits for it: nothing in this program may call
 * waitpid(-1) or ignore SIGCHLD.
 *
 * process_run() is for helpers that come and go: it starts, captures what they print, and
 * kills their whole group at the deadline or when the caller gives up. process_start() and
 * process_wait() are for those that stay.
 */

#ifndef INSTANCE_SVC_PROCESS_H
#define INSTANCE_SVC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Zero means the default in every field but argv. All is borrowed for the call. */
struct process_spec {
	const char *const *argv; /* ends with NULL; argv[0] without a slash is looked up in PATH */
	const char *const *env;	 /* ends with NULL; NULL: our own */
	const char *directory;	 /* NULL: ours */
	int in;			 /* 0: /dev/null */
	int out, err;		 /* 0: /dev/null; process_run() sets them itself */
	const int *fds;		 /* become 3, 4, ... in this order */
	size_t fd_count;
	bool new_session; /* survives our terminal; else only a new process group */
};

struct process {
	pid_t pid; /* 0: none */
	int pidfd; /* readable (poll) once it ended */
};

#define PROCESS_NONE ((struct process){ .pid = 0, .pidfd = -1 })

/* Fails with the program's name when it cannot be executed. */
int process_start(const struct process_spec *spec, struct process *ret, struct err *err);

/*
 * Waits for the end, takes the exit status (as of waitpid) into *status, which may be NULL,
 * and empties *process. timeout_ms: -1 for ever, 0 only looks. Returns 0, or -ETIMEDOUT with
 * the process still ours.
 */
int process_wait(struct process *process, int timeout_ms, int *status);

/* Sends a signal to the process, or to its whole group. Harmless once it was waited for. */
void process_signal(const struct process *process, int signal);
void process_signal_group(const struct process *process, int signal);

/* SIGKILL to the group, then waits. Harmless for PROCESS_NONE. */
void process_kill(struct process *process);

/* Text that a child wrote: the first bytes up to a limit, NUL-terminated. */
struct process_text {
	char *text; /* owned; never NULL after process_run() returned 0 */
	size_t length;
	bool truncated; /* there was more; it was read and dropped */
};

struct process_result {
	int status; /* as of waitpid */
	struct process_text out, err;
};

void process_result_done(struct process_result *result);

struct process_limits {
	int timeout_ms;			/* 0: none */
	size_t out_bytes, err_bytes;	/* 0: 64 KiB */
	const volatile bool *cancelled; /* NULL: cannot be; looked at every 50 ms */
	/* Called at least as often while it runs; -1 with *err ends it. NULL: nothing. */
	int (*look)(void *user, struct err *err);
	void *look_user;
};

/*
 * Runs to the end. Returns 0 with *ret filled whatever the exit status, or -1 with *err:
 * ERR_CANCELLED, ERR_UNAVAILABLE at the deadline, what look() said, ERR_INTERNAL when it
 * did not start. After
 * -1 the group was killed and the child is gone.
 */
int process_run(const struct process_spec *spec, const struct process_limits *limits,
		struct process_result *ret, struct err *err);

/* "exited with status 3", "was killed by signal 9 (Killed)". */
struct process_status_text {
	char s[64];
};
struct process_status_text process_status_text(int status);
#define PROCESS_STATUS_STR(status) (process_status_text(status).s)

#endif
