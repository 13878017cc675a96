/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device node of an IOMMU group, dev-root/vfio/N: who opens it has the devices in it.
 *
 * A node is looked up once and then used by descriptor, so that nothing is swapped between
 * check and use. On the real /dev it must be the character device that sysfs names for the
 * group; in a simulated tree it must be a plain file: a device there would be a real one.
 */

#ifndef GPU_AGENT_MONITOR_NODE_H
#define GPU_AGENT_MONITOR_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "host.h"

struct node {
	int fd; /* owned, O_PATH */
};

#define NODE_CLOSED ((struct node){ .fd = -1 })

/* 0 or -errno; -ENOENT: there is no such node, -EBADF: it is not what it must be. */
int node_open(const struct host *host, uint32_t group, struct node *ret);
void node_close(struct node *node);

/* root:gid with mode 0660, or for gid 0 root:root with mode 0600. No access list remains. */
int node_grant(const struct node *node, gid_t gid);
/* Whether that is how things are: 1, 0 or -errno. */
int node_is_granted(const struct node *node, gid_t gid);

/*
 * A descriptor that keeps everybody else out: VFIO lets a group be open once. -EBUSY when
 * somebody has it, or a device of it, open.
 */
int node_claim(const struct node *node);

/* Waits until udev has handled what the kernel told it, at most two seconds. */
void node_settle(const struct host *host);

#endif
