/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's virtio-serial ports, found by name. */

#ifndef INSTANCE_SVC_GUEST_PORT_H
#define INSTANCE_SVC_GUEST_PORT_H

/* A descriptor that does not block, or -1: the VM has no such port (yet). */
int port_open(const char *name);

#endif
