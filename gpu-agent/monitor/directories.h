/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories that the agent needs, with the owners they must have.
 */

#ifndef GPU_AGENT_MONITOR_DIRECTORIES_H
#define GPU_AGENT_MONITOR_DIRECTORIES_H

#include "settings.h"

/*
 * Makes what is missing, parents included: journal-dir (root, 0700), state-dir (serve's user,
 * 0700) and the directory of the socket (serve's user, 0755). One that is root's and should be
 * serve's, as a service manager makes it, is given to serve; one of anybody else is refused.
 */
int directories_prepare(const struct settings *settings, struct err *err);

/*
 * Refuses to go on beside another agent with the same journal, after two seconds in which it did
 * not end. The lock lasts as long as the descriptor, which the caller owns and does not use.
 */
int directories_lock(const struct settings *settings, int *ret_fd, struct err *err);

#endif
