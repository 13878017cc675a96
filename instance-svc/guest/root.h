/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's view of the machine: a mount namespace whose root is the image with its
 * overlay. Init itself stays in the initramfs, so that it can unmount the disks when the
 * namespace is gone.
 */

#ifndef INSTANCE_SVC_GUEST_ROOT_H
#define INSTANCE_SVC_GUEST_ROOT_H

#include "common/err.h"

struct guest_config;

/*
 * Moves the calling process into a namespace of its own with DISK_ROOT as "/", mounts /proc,
 * /sys, /dev and the like there and the volumes, and writes hostname, hosts and resolv.conf.
 */
int root_enter(const struct guest_config *config, struct err *err);

#endif
