/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE requests that are not answered yet: writes that the model will end, reads that are tried
 * again after each change. A signal does not end them, as it would not in the kernel.
 */

#ifndef SIMHOST_KEPT_H
#define SIMHOST_KEPT_H

#include "handle.h"

struct kept {
	struct waiter waiter; /* first: a waiter is the kept request it is in */
	struct kept *next;
	struct kept **link; /* what points at it; NULL: in no list */
	fuse_req_t request;
	size_t size;
	struct node node;      /* of a read */
	struct handle *handle; /* likewise; borrowed: it is not released before the answer */
};

/* In no list. NULL: out of memory. */
struct kept *kept_new(fuse_req_t request, size_t size);
void kept_free(struct kept *kept);

SCOPED_DEFINE(struct kept *, kept_free);

void kept_add(struct kept **list, struct kept *take_kept);

/* Answers each with this error. */
void kept_fail_all(struct kept **list, int error);

#endif
