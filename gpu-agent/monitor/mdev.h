/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mediated devices as sysfs shows them. Reading only.
 *
 * A device that is being removed while somebody holds it open has left /sys/bus/mdev, but its
 * directory under its parent, its group and its node are there until the holder lets go: so a
 * device is gone only when both are.
 */

#ifndef GPU_AGENT_MONITOR_MDEV_H
#define GPU_AGENT_MONITOR_MDEV_H

#include "gpu-agent/ops.h"
#include "tree.h"

/*
 * The device of that UUID under that parent: 1, 0 when there is none, or -errno.
 * in_journal is left 0.
 */
int mdev_read(const struct tree *sysfs, struct pci_addr parent, const char *uuid,
	      struct op_mdev *ret);

/*
 * The same wherever its parent is; hint names the parent to look under for a device that has
 * left /sys/bus/mdev. -ENOTSUP: it exists and its parent is no PCI function.
 */
int mdev_find(const struct tree *sysfs, const char *uuid, struct pci_addr hint,
	      struct op_mdev *ret);

#endif
