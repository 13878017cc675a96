/* SPDX-License-Identifier: Apache-2.0 */
/* How many vGPUs a physical GPU takes: one account, whichever framework makes them. */

#ifndef SIMHOST_CAPACITY_H
#define SIMHOST_CAPACITY_H

#include "host.h"

/* So many more of this type, one after another, if nothing else is created. */
uint64_t capacity_of_gpu(const struct gpu *gpu, const struct board_type *type);

/* On this parent: 0 or 1 for a virtual function. */
uint64_t capacity_of_parent(const struct function *parent, const struct board_type *type);

/* A vGPU of this type came, or went. */
void capacity_take(struct gpu *gpu, const struct board_type *type);
void capacity_give(struct gpu *gpu, const struct board_type *type);

#endif
