/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: a fork of the monitor that does one thing to the host and ends. It holds nothing
 * but its end of a socket to serve, no lock while it is in the kernel, and only the
 * capabilities of its operation; it dies with the monitor.
 */

#ifndef GPU_AGENT_MONITOR_WORKER_H
#define GPU_AGENT_MONITOR_WORKER_H

#include <sys/types.h>

#include "settings.h"

/* Both run in the forked child and do not return. monitor: the parent's pid. */
void worker_serve(const struct settings *settings, pid_t monitor, int socket)
	__attribute__((noreturn));

/* Looks whether the host and the journal can be used, and compacts the journal. */
void worker_prepare(const struct settings *settings, pid_t monitor) __attribute__((noreturn));

#endif
