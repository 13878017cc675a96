/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a scan that is about whole GPUs. */

#ifndef GPU_AGENT_SERVE_PASSTHROUGH_SCAN_H
#define GPU_AGENT_SERVE_PASSTHROUGH_SCAN_H

#include "agent.h"

/*
 * Publishes the functions among the records, after asking who uses those GPUs that could
 * be given away. Before the inventory of the same scan is published. 0 or -ENOMEM.
 */
int passthrough_scan(struct agent *agent, const struct inventory *inventory,
		     const struct op_record *records, size_t count);

#endif
