/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans the host, one scan at a time: when one was asked for, and every rescan_ms. A scan
 * that fails or is not whole changes nothing: the last good inventory, patched by our own
 * changes, stays. One that hangs is repeated without the GPU that it hangs at (suspects.h).
 */

#ifndef GPU_AGENT_SERVE_SCANNER_H
#define GPU_AGENT_SERVE_SCANNER_H

#include "agent.h"

/* A thread's function; the argument is the agent. Ends after agent_stop(). */
void *scanner_thread(void *agent);

/* One scan, for the thread and for tests. */
int scanner_scan(struct agent *agent, struct err *err);

#endif
