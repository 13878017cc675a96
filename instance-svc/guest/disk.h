/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's virtio disks, found by serial, and the root file system made of them. */

#ifndef INSTANCE_SVC_GUEST_DISK_H
#define INSTANCE_SVC_GUEST_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Where the image with its overlay is mounted, in init's own mount namespace. */
#define DISK_ROOT "/newroot"

/* Reads a disk from its start, up to `size` bytes. Caller frees *ret. */
int disk_read(const char *serial, size_t size, uint8_t **ret, size_t *ret_length, struct err *err);

/* Mounts a disk on `target`, which is made. 0, or -errno with *err filled. */
int disk_mount(const char *serial, const char *type, unsigned long flags, const char *target,
	       struct err *err);

/* Mounts the image disk, the overlay disk, and both as one on DISK_ROOT. */
int disk_mount_root(struct err *err);

/* Unmounts what disk_mount_root() did, so that the overlay's journal is clean. */
void disk_unmount_root(void);

#endif
