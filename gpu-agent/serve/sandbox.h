/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that gpu-agent-serve makes to serve, and no others: what parses
 * strangers' bytes can neither start a program nor look into another process. Its user has
 * no capabilities; this is the second fence.
 */

#ifndef GPU_AGENT_SERVE_SANDBOX_H
#define GPU_AGENT_SERVE_SANDBOX_H

#include "common/err.h"

/*
 * For all threads, and those to come. What is not on the list fails with EPERM; starting a
 * program, tracing and loading code into the kernel end the process.
 */
int sandbox_enter(struct err *err);

#endif
