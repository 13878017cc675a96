/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One packet to a Unix socket, with or without a descriptor.
 */

#ifndef COMMON_SEND_FD_H
#define COMMON_SEND_FD_H

#include <stddef.h>

/* Never waits, and sends all or fails: 0 or -errno. fd stays the caller's; -1: none goes along. */
int send_fd(int socket, const void *packet, size_t size, int fd);

#endif
