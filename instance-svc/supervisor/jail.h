/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program as a subordinate user: in a user namespace that maps one uid and one gid
 * of ours and nothing else, without a capability, with only the descriptors it was given.
 * It dies with us.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_JAIL_H
#define INSTANCE_SVC_SUPERVISOR_JAIL_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Inside the namespace: not 0, so that exec drops every capability. */
#define JAIL_INNER_ID 1000

struct jail_fd {
	int source; /* of ours; -1: left out */
	int target; /* in the program */
};

struct jail_spec {
	char *const *argv; /* argv[0] is looked up in PATH; NULL: see jail_sweep() */
	uid_t uid;	   /* of /etc/subuid */
	gid_t gid;	   /* of /etc/subgid */
	int output;	   /* becomes 1 and 2; 0 is /dev/null */
	const struct jail_fd *fds;
	size_t fd_count; /* at most JAIL_FDS_MAX */
};

#define JAIL_FDS_MAX 32

/* The caller waits for *ret. Only in a program without threads: code runs after fork. */
int jail_start(const struct jail_spec *spec, pid_t *ret, struct err *err);

/*
 * Kills every process of a subordinate user. A jail dies with its supervisor, but for one that
 * was not yet whole when the supervisor was killed.
 */
int jail_sweep(uid_t uid, gid_t gid, struct err *err);

#endif
