/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is particular about allocations of whole GPUs. Their life is that of every
 * allocation (allocator.h, release.h, recovery.h): the device that comes and goes is the
 * binding of the GPU's functions to vfio-pci, which root's journal knows by the
 * allocation's id.
 */

#ifndef GPU_AGENT_SERVE_PASSTHROUGH_ALLOCATE_H
#define GPU_AGENT_SERVE_PASSTHROUGH_ALLOCATE_H

#include "allocator.h"

/* A new, busy lease of the registered device that the request names; NULL with *err. */
struct lease *passthrough_reserve_locked(struct agent *agent, const struct create_request *request,
					 struct err *err);

/* Fills in what is not on record: which functions it has, how it was left before. */
void passthrough_complete_locked(const struct agent *agent, struct allocation *allocation);

/* Why a bind failed. Returns -1. */
int passthrough_explain(const struct allocation *allocation, const struct outcome *outcome,
			struct err *err);

/* The last scan's picture, after our own bind (driver "vfio-pci") or restore. */
void passthrough_record_change_locked(struct agent *agent, const struct allocation *allocation,
				      bool bound);

/* How the release left the GPU, for the next one who gets it; empty: it was reset. */
void passthrough_note_reset(struct agent *agent, const struct allocation *allocation,
			    const char *note);

#endif
