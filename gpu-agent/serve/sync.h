/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SyncAllocations: a principal states what it still knows of, and what it has forgotten is
 * released.
 *
 * The claim names the revision of the list it is based on. Every allocation up to that
 * number was settled when the list was made, so the principal has seen it there; what is
 * younger, or was being created then, is none of the claim's business. That is why a
 * create in flight is never undone.
 */

#ifndef GPU_AGENT_SERVE_SYNC_H
#define GPU_AGENT_SERVE_SYNC_H

#include "agent.h"

struct sync_id {
	char s[OPS_UUID_SIZE];
};

struct sync_ids {
	struct sync_id *ids; /* owned */
	size_t count;
};

/* Checked by form already. */
struct sync_request {
	char principal[ALLOCATION_PRINCIPAL_MAX];
	uint64_t revision;
	struct sync_id *claimed; /* owned, in any order */
	size_t claimed_count;
};

struct sync_result {
	struct sync_ids released; /* or being released in the background */
	struct sync_ids in_use;	  /* left alone */
	struct sync_ids missing;  /* claimed, but not there */
};

/*
 * For ListAllocations, and to be asked before the list is made: the number up to which
 * every allocation is settled.
 */
int sync_revision(struct agent *agent, uint64_t *ret, struct err *err);

/*
 * DEVICE_NOT_RESPONDING when the time of a request was not enough: what has been released
 * until then stays released, and the same call again goes on. *ret is ended with
 * sync_result_done(), after a failure too.
 */
int sync_run(struct agent *agent, struct sync_request *request, struct sync_result *ret,
	     struct err *err);

void sync_request_done(struct sync_request *request);
void sync_result_done(struct sync_result *result);

/* For scoped(sync_request_done) struct sync_request request = { 0 }; */
static inline void sync_request_done_scoped(struct sync_request *request)
{
	sync_request_done(request);
}

static inline void sync_result_done_scoped(struct sync_result *result)
{
	sync_result_done(result);
}

#endif
