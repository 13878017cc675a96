/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening Unix socket that takes its path over from a dead process and never from a
 * live one: <path>.lock is held (flock) as long as the socket is open. The socket gets
 * its mode before it gets its name, and replaces a stale one in a single step.
 */

#ifndef COMMON_RPC_LISTENER_H
#define COMMON_RPC_LISTENER_H

#include <sys/types.h>

#include "common/err.h"

struct listener {
	int fd;	     /* non-blocking; -1: closed */
	int lock_fd; /* -1: closed */
	char *path;  /* owned */
	dev_t device;
	ino_t inode; /* of the socket at path: removed at close only while it is this one */
};

#define LISTENER_CLOSED ((struct listener){ .fd = -1, .lock_fd = -1 })

int listener_open(struct listener *listener, const char *path, mode_t mode, struct err *err);

/* Removes the socket, if it is still ours. The lock file stays: removing it would race. */
void listener_close(struct listener *listener);

#endif
