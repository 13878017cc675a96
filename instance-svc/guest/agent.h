/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of agent_protocol.h: runs commands for the host and looks at paths. A
 * process of its own beside init, in the root of the image's command. When it dies, the
 * command goes on and init starts another.
 */

#ifndef INSTANCE_SVC_GUEST_AGENT_H
#define INSTANCE_SVC_GUEST_AGENT_H

#include <sys/types.h>

struct guest_config;

/* Forks the agent into the mount namespace of `command`. Its pid; 0 without a port for it. */
pid_t agent_start(const struct guest_config *config, pid_t command);

/* The agent itself: serves the port, which does not block, for ever. */
__attribute__((noreturn)) void agent_run(int port, const struct guest_config *config);

#endif
