/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions and their drivers: the rules of driver_override, bind, unbind, drivers_probe
 * and new_id.
 *
 * An unbind takes down what the driver made first: vGPUs, and a physical function's virtual
 * ones. It blocks while a node of any of them, or the GPU's own /dev/nvidiaN, is open.
 */

#ifndef SIMHOST_DRIVER_H
#define SIMHOST_DRIVER_H

#include "host.h"

#define DRIVER_VFIO_PCI "vfio-pci"

/* It is a VFIO device: vfio-pci has it, or the vendor's driver as a virtual function. */
bool driver_is_vfio(const struct function *function);

/* "\n" or nothing clears it. -EINVAL: too long. Takes effect at the next probe. */
int driver_set_override(struct function *function, const char *text, size_t length);

/* A driver that matches takes the function; with none that does it is 0 all the same. */
int driver_probe(struct host *host, struct function *function);

/* -ENODEV: this driver does not match it; -EBUSY: it has a driver. */
int driver_bind(struct host *host, struct function *function, const char *driver);

/*
 * 0, HOST_PENDING while somebody holds it back, -ENODEV: this driver does not have it.
 * waiter NULL: nobody waits.
 */
int driver_unbind(struct host *host, struct function *function, const char *driver,
		  const struct process *writer, struct waiter *waiter);

/* Something was closed, or a fault has ended: unbinds that nothing holds back go on. */
void driver_resume(struct host *host);

/* The function has disappeared: its driver lets go at once, held or not. */
void driver_drop(struct host *host, struct function *function);

/* -EEXIST: the driver matches it already; -ENOSPC. Then every function without one is probed. */
int driver_add_id(struct host *host, const char *driver, uint64_t vendor, uint64_t device);
/* -ENODEV: it was not added. Functions that the driver has stay with it. */
int driver_remove_id(struct host *host, const char *driver, uint64_t vendor, uint64_t device);

#endif
