/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about the vGPU types of each board.
 *
 * A full GPU may list fewer types, and a lower maximum, than an empty one. So what an
 * empty GPU said is kept, also across restarts, and fills the gaps of later scans. A type
 * id means different things on different boards: the board is part of the key.
 */

#ifndef GPU_AGENT_SERVE_CATALOGUE_H
#define GPU_AGENT_SERVE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu-agent/ops.h"

struct board {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
};

struct catalogue_type {
	struct board board;
	char id[OPS_TYPE_MAX];	 /* profile_type_id() */
	char name[OPS_NAME_MAX]; /* short form */
	int32_t framebuffer_mb;	 /* OPS_UNKNOWN */
	int32_t max_instance;	 /* OPS_UNKNOWN */
};

struct catalogue {
	struct catalogue_type *types; /* owned */
	size_t count;
};

bool board_equal(struct board a, struct board b);

/* Borrowed until the next put; NULL when it is not known. */
const struct catalogue_type *catalogue_find(const struct catalogue *catalogue, struct board board,
					    const char *id);

/*
 * Adds a type or completes a known one. authoritative: the GPU was empty, so its word
 * replaces what we have. Returns 1 when something changed, 0 when not, or -ENOMEM.
 */
int catalogue_put(struct catalogue *catalogue, const struct catalogue_type *type,
		  bool authoritative);

void catalogue_done(struct catalogue *catalogue);

/* For scoped(catalogue_done) struct catalogue catalogue = { 0 }; */
static inline void catalogue_done_scoped(struct catalogue *catalogue)
{
	catalogue_done(catalogue);
}

#endif
