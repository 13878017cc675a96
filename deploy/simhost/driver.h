/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions and their drivers: the rules of driver_override, bind, unbind, drivers_probe. */

#ifndef SIMHOST_DRIVER_H
#define SIMHOST_DRIVER_H

#include "host.h"

#define DRIVER_VFIO_PCI "vfio-pci"

bool driver_is_vfio(const struct function *function);

/* "\n" or nothing clears it. -EINVAL: too long. Takes effect at the next probe. */
int driver_set_override(struct function *function, const char *text, size_t length);

/* A driver that matches takes the function; with none that does it is 0 all the same. */
int driver_probe(struct host *host, struct function *function);

/* -ENODEV: this driver does not match it; -EBUSY: it has a driver. */
int driver_bind(struct host *host, struct function *function, const char *driver);

/*
 * 0, HOST_PENDING while somebody holds its node, -ENODEV: this driver does not have it,
 * -EBUSY: it carries vGPUs or virtual functions (what NVIDIA's driver does then is not modelled).
 */
int driver_unbind(struct function *function, const char *driver, const struct process *writer,
		  struct waiter *waiter);

/* The node of this group was closed. */
void driver_resume(struct host *host, struct group *group);

#endif
