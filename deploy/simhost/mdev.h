/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vGPUs: what may be created, and how they come and go. The kernel's mdev core checks the
 * UUID, the board's driver the capacity of its GPU.
 */

#ifndef SIMHOST_MDEV_H
#define SIMHOST_MDEV_H

#include "host.h"

/* What available_instances of this parent says: 0 or 1 for a virtual function. */
uint64_t mdev_available(const struct function *parent, const struct board_type *type);

/*
 * A write of length bytes to the create file of a type. 0, or:
 * -EINVAL no UUID of 36 or 37 bytes; -EEXIST there is one, be it half removed;
 * the board's refusal (-EIO, -ENOSPC) no room, another size, or the virtual function is taken.
 */
int mdev_create(struct host *host, struct function *parent, const struct board_type *type,
		const char *text, size_t length);

/*
 * "1" was written to the remove file. It is gone at once, or while somebody holds its node
 * HOST_PENDING and half gone: out of sight but with its UUID, capacity, group and node.
 * -ENODEV: it was half gone already. waiter NULL: nobody waits.
 */
int mdev_remove(struct host *host, struct mdev *mdev, const struct process *writer,
		struct waiter *waiter);

/* Removes all of this parent's, or of the parents below a physical function. */
void mdev_remove_under(struct host *host, const struct function *over,
		       const struct process *writer);

/* Their parent has disappeared: they go, held or not. */
void mdev_drop_of(struct host *host, const struct function *parent);

/* The node of this group was closed. */
void mdev_resume(struct host *host, struct group *group);

/* Removals that a fault kept go on. */
void mdev_resume_all(struct host *host);

/* Borrowed; NULL: the group is not that of a vGPU. */
struct mdev *mdev_of_group(const struct host *host, const struct group *group);

#endif
