/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back of a binding, and what is told of one.
 */

#ifndef GPU_AGENT_MONITOR_RESTORE_H
#define GPU_AGENT_MONITOR_RESTORE_H

#include "job.h"

/* As OP_RECORD_BINDING, whatever state it is in. */
void restore_send_binding(struct job *job, const struct journal_entry *entry);

#endif
