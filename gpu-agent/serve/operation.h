/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel operation on the device of an allocation. */

#ifndef GPU_AGENT_SERVE_OPERATION_H
#define GPU_AGENT_SERVE_OPERATION_H

#include "agent.h"

/*
 * The caller has made the lease of the allocation busy, and does not hold the lock. The time limit
 * is the deadline or write_timeout_ms, whichever is earlier.
 */
void operation_run(struct agent *agent, enum op_kind kind, const struct allocation *allocation,
		   int64_t deadline_ms, struct outcome *ret);

/* What makes the device of an allocation, and what takes it away. */
enum op_kind operation_to_create(const struct allocation *allocation);
enum op_kind operation_to_remove(const struct allocation *allocation);

/* The change for the inventory. */
struct op_mdev operation_vgpu(const struct allocation *allocation);

#endif
