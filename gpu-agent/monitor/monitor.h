/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root process that stays. It forks workers, hands serve their sockets, keeps serve
 * running, and waits. It reads fixed-size structs only, and never touches sysfs, a device or
 * the journal: what can block or be confused happens in its children.
 */

#ifndef GPU_AGENT_MONITOR_MONITOR_H
#define GPU_AGENT_MONITOR_MONITOR_H

#include "settings.h"

/* Until SIGTERM or SIGINT. 0 after an orderly end, -1 with *err when it could not start. */
int monitor_run(const struct settings *settings, struct err *err);

#endif
