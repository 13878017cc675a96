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
 * Sanitizers map executable shadow memory, and trace their own process when it ends. A
 * build with one is for tests and is not filtered; it says so in its log.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_FILTERS 0
#else
#define SANDBOX_FILTERS 1
#endif

/*
 * For good, and before the first thread: those to come inherit it. A call that is not listed
 * fails with EPERM; one that only an intruder makes ends the process. Sets no_new_privs,
 * without which the kernel takes no filter from an ordinary user.
 */
int sandbox_enter(struct err *err);

#endif
