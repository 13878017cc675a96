/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a vGPU goes. Pure.
 *
 * Packs by size: the GPU that is locked to the size already and has the least room, then
 * the empty one with the least room. Spreading small vGPUs over all GPUs would lock every
 * one of them against larger ones. Who asks for it gets the GPU with the fewest vGPUs, for
 * performance. GPUs of the NUMA node that is asked for come first, and GPUs where the kernel
 * is slow last, either way.
 */

#ifndef GPU_AGENT_SERVE_PLACEMENT_H
#define GPU_AGENT_SERVE_PLACEMENT_H

#include "capacity.h"
#include "common/err.h"

/* All zero: pack, on any node. */
struct placement_wish {
	bool spread;
	bool has_node;
	int32_t numa_node;
};

struct placement {
	size_t gpu, slot;
	const struct inventory_offer *offer; /* borrowed from the inventory */
};

/* INSUFFICIENT_CAPACITY with one detail for each GPU that can carry vGPUs. */
int placement_choose(const struct capacity *capacity, size_t profile,
		     const struct placement_wish *wish, struct placement *ret, struct err *err);

#endif
