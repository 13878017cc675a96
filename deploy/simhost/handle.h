/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and folders: a copy of what was shown, which reads take pieces of. A list has all
 * that are open, since FUSE does not close them when it is ended.
 */

#ifndef SIMHOST_HANDLE_H
#define SIMHOST_HANDLE_H

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include "common/scoped.h"
#include "tree.h"

struct handle {
	struct handle *next;
	struct handle **link; /* what points at it */
	char *text;	      /* owned */
	size_t length;
	uint64_t position;		/* of the event file: the event to come */
	struct fuse_pollhandle *poller; /* likewise, owned; NULL: nobody polls */
};

/* The list owns it. NULL: out of memory. */
struct handle *handle_new(struct handle **list);
void handle_free(struct handle *handle);

SCOPED_DEFINE(struct handle *, handle_free);

/* Each fills it anew: 0, or -errno; HOST_PENDING: the read hangs. */
int handle_show(struct handle *handle, struct host *host, struct node node);
int handle_list(struct handle *handle, fuse_req_t request, struct host *host, struct node node);

/* Fills it with events since the last time; -EAGAIN: there are none. */
int handle_events(struct handle *handle, const struct host *host, size_t size);

/* Answers a read, or a readdir: the offsets in a listing are places in its text. */
void handle_reply(const struct handle *handle, fuse_req_t request, size_t size, off_t offset);

#endif
