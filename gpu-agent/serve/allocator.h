/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateAllocation, DeleteAllocation, ListAllocations, without the wire.
 *
 * A create decides and reserves the slot under the lock, records the intent, has the
 * device created and its node granted, and records that it is ready. Killed after any of
 * these steps, the next start finds the intent and undoes it (recovery.h). The node is
 * granted before the allocation counts as ready, so that a ready one is always usable.
 */

#ifndef GPU_AGENT_SERVE_ALLOCATOR_H
#define GPU_AGENT_SERVE_ALLOCATOR_H

#include "agent.h"
#include "placement.h"

/* Checked by form already. */
struct create_request {
	char request_id[OPS_UUID_SIZE];
	char principal[ALLOCATION_PRINCIPAL_MAX];
	char owner[ALLOCATION_OWNER_MAX];
	char profile[OPS_NAME_MAX];	/* short form */
	char device[REGISTRY_NAME_MAX]; /* a registered device instead; empty: a vGPU */
	struct placement_wish wish;	/* not part of what a repeated request_id is compared by */
	uint32_t grant_gid;
};

/* What every allocation begins with: an id and a sequence of its own, and what was asked for.
 * Kind, place, profile and type are left to the caller. */
void allocation_begin_locked(struct agent *agent, const struct create_request *request,
			     struct allocation *ret);

int allocator_create(struct agent *agent, const struct create_request *request,
		     struct allocation *ret, struct err *err);

/* principal NULL: an admin, who may delete everybody's. */
int allocator_delete(struct agent *agent, const char *principal, const char *id, struct err *err);

/*
 * Up to `max` live allocations after sequence `after`, oldest first. Sets *ret_more when
 * there are further ones. Returns their count or -ENOMEM; the caller frees *ret.
 */
int allocator_list(struct agent *agent, const char *principal, uint64_t after, size_t max,
		   struct allocation **ret, bool *ret_more);

#endif
