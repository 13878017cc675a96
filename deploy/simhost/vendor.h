/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor's VFIO framework: a virtual function is a VFIO device itself, and what is written
 * to its nvidia/current_vgpu_type makes and destroys its vGPU.
 */

#ifndef SIMHOST_VENDOR_H
#define SIMHOST_VENDOR_H

#include "host.h"

#define VENDOR_DESTROY_MS 5000 /* how long a destroy waits for the vGPU's manager to exit */

/* The list as creatable_vgpu_types shows it: what can be created on this function now. */
void vendor_list(const struct function *function, FILE *out);

/*
 * Any id but 0 creates: 0, -EPERM there is a vGPU already, -EIO the driver refuses (no room,
 * another size, no such type).
 *
 * 0 destroys: 0, -EPERM there is none, or it is open. While its node is closing it waits,
 * HOST_PENDING, and is -EBUSY after VENDOR_DESTROY_MS. waiter NULL: -EBUSY at once.
 */
int vendor_set_type(struct host *host, struct function *function, uint32_t id,
		    const struct process *writer, struct waiter *waiter);

/* Destroys that wait go on, or give up. */
void vendor_tick(struct host *host);

/* The driver let go of the function, or it disappeared: no vGPU is left. */
void vendor_forget(struct host *host, struct function *function);

/* -ENXIO: there is no vGPU. Else what the file shows. */
int vendor_placement(const struct function *function, uint32_t *ret_id);

/* -ENXIO no vGPU; -EPERM it is open; -EINVAL no multiple of its size in GiB; -EIO taken. */
int vendor_set_placement(struct host *host, struct function *function, uint32_t id);

/* -ENXIO no vGPU; -EPERM it is open; -E2BIG. */
int vendor_set_params(struct function *function, const char *text);

/* No vendor's function without a type is in the group. */
bool vendor_group_may_open(const struct host *host, const struct group *group);

#endif
