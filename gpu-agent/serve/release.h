/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a vGPU back: for DeleteAllocation, for a create that has to be undone, and for
 * recovery. Each takes a busy lease and ends it (dropped, or idle and still on record),
 * so the caller must not use it any more.
 *
 * The kernel lets go of a device some time after its user ended. patience_ms: how long to
 * wait for that, trying again; 0 tries once.
 */

#ifndef GPU_AGENT_SERVE_RELEASE_H
#define GPU_AGENT_SERVE_RELEASE_H

#include "agent.h"

/*
 * Removes the device of an allocation that was ready and closes its record. While somebody
 * uses the device: ALLOCATION_IN_USE with the holders, and a ready allocation stays ready.
 * When the kernel does not let go, or gives no answer, removal goes on in the background.
 */
int release_close(struct agent *agent, struct lease *take_lease, int patience_ms, struct err *err);

/* Removes what may exist of an allocation that never became ready, and forgets it. */
int release_undo(struct agent *agent, struct lease *take_lease, int patience_ms, struct err *err);

/* The same where it is known that no device exists: only the record is left. */
void release_forget(struct agent *agent, struct lease *take_lease);

#endif
