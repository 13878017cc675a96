/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings the records and the kernel together: after each scan, so at the start too.
 *
 *   record      device    so
 *   CREATING    there     removed, and the record forgotten: nobody was ever told of it, and
 *                         a caller who asks again with the same request_id gets a new one
 *   CREATING    missing   forgotten, once no worker is stuck that may still create it; one that
 *                         an earlier serve left may be stuck with any allocation of its time
 *   READY       there     as it should be
 *   READY       missing   closed: a reboot, or somebody's hand, removed it
 *   RELEASING   there     removed and closed
 *   RELEASING   missing   closed
 *   CLOSED or   there,    removed: its worker was stuck, and created it after all
 *   UNDONE      by root
 *   none        there     foreign: never touched
 *
 * Where something could not be read, a device that was not seen counts as neither; of GPUs for
 * which the kernel does not answer nothing is judged.
 * What a thread works on (a busy lease) is not looked at, and only a scan that began after
 * that work ended can tell what became of it.
 */

#ifndef GPU_AGENT_SERVE_RECOVERY_H
#define GPU_AGENT_SERVE_RECOVERY_H

#include "agent.h"

enum recovery_action {
	RECOVERY_KEEP,
	RECOVERY_UNDO,	 /* remove the device, forget the record */
	RECOVERY_FORGET, /* the record alone */
	RECOVERY_RELEASE,
	RECOVERY_CLOSE, /* the record alone */
};

/* Pure. quiet: lease_is_quiet_locked(). */
enum recovery_action recovery_decide(enum allocation_state state, enum presence device, bool quiet);

/* Judges everything that the last published scan can judge. */
void recovery_run(struct agent *agent);

/* A thread's function: recovery_run() after each scan, until agent_stop(). */
void *recovery_thread(void *agent);

#endif
