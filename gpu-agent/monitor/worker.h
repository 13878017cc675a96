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

/* Runs in the forked child and does not return, as the others. monitor: the parent's pid. */
void worker_serve(const struct settings *settings, pid_t monitor, int socket)
	__attribute__((noreturn));

/* A worker was killed: settle.h. Does not return either. */
void worker_settle(const struct settings *settings, pid_t monitor) __attribute__((noreturn));

/* Looks whether the host and the journal can be used, and tidies the journal. */
void worker_prepare(const struct settings *settings, pid_t monitor) __attribute__((noreturn));

#endif
