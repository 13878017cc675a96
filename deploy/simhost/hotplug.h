/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that come and go: GPUs that fall off the bus, virtual functions being enabled. */

#ifndef SIMHOST_HOTPLUG_H
#define SIMHOST_HOTPLUG_H

#include "host.h"

/*
 * The function disappears without warning, a physical one with all others of its GPU: vGPUs and
 * nodes go too, held or not. -ENODEV: it is not there.
 */
int hotplug_remove(struct host *host, struct function *slot);

/*
 * And comes back as after a boot, with its own driver and nothing of what it had: a physical one
 * with its audio function, and with its virtual ones if it had any. -EEXIST: it is there. A
 * virtual function needs its physical one: -ENODEV.
 */
int hotplug_add(struct host *host, struct function *slot);

/*
 * What the vendor's sriov-manage does, without its delays. -ENODEV: the GPU's driver does not
 * have it, or it can have none; -EEXIST: they are there.
 */
int hotplug_enable_vfs(struct host *host, struct gpu *gpu);
void hotplug_disable_vfs(struct host *host, struct gpu *gpu);

#endif
