/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOMMU groups and their nodes in /dev/vfio.
 *
 * A node opens once: a second open is EBUSY. Whatever waits for its holder (a remove, an
 * unbind) goes on when group_close() is called.
 *
 * The kernel tells an open group from an open device, and waits only for the latter. A FUSE
 * file cannot hand out device descriptors, so a node that is open stands for both, with one
 * exception: a process that has the node open itself does not make its own remove or unbind
 * wait, as with a group descriptor that no device was taken from.
 */

#ifndef SIMHOST_GROUP_H
#define SIMHOST_GROUP_H

#include "host.h"

/* With the lowest free number from 1 on; the host owns it. NULL: out of memory. */
struct group *group_new(struct host *host);
void group_free(struct host *host, struct group *group);

/* Borrowed; NULL if there is none. */
struct group *group_find(const struct host *host, uint32_t number);

/* The group has a node in /dev/vfio. */
bool group_has_node(const struct group *group);

/* A VFIO driver took, or let go of, one of the group's devices. */
void group_add_vfio_user(struct host *host, struct group *group);
void group_drop_vfio_user(struct host *host, struct group *group);

/* A device joined the group, or left it, whatever its driver. */
void group_add_device(struct group *group);
void group_drop_device(struct group *group);

/*
 * 0, -ENODEV without a node, or when it belongs to a vendor's virtual function without a type
 * (the kernel says so when the device is taken from the group), -EBUSY when it is open.
 */
int group_open(struct host *host, struct group *group, const struct process *holder);

/*
 * What group_open() opened is closed; stale serials, of nodes that are gone, are ignored. With
 * the slow-close fault it stays held by nobody until group_tick() finds that its time is over.
 */
void group_close(struct host *host, uint32_t number, uint32_t node_serial);
void group_tick(struct host *host);

/* A remove or unbind that this process writes has to wait. */
bool group_is_held_against(const struct group *group, const struct process *writer);

#endif
