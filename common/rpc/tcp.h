/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets: one that listens, and whose a connection is. */

#ifndef COMMON_RPC_TCP_H
#define COMMON_RPC_TCP_H

#include <netinet/in.h>
#include <stdbool.h>

#include "common/err.h"

/* Where a connection comes from. */
struct tcp_source {
	struct in6_addr network; /* what limits count: an IPv4 address, or a /64 of IPv6 */
	char text[INET6_ADDRSTRLEN + sizeof("[]:65535")];
};

/*
 * Listens, non-blocking, at "192.0.2.1:7443" or "[2001:db8::1]:7443": numbers only, since
 * names may resolve to something else tomorrow. Returns the descriptor, or -1.
 */
int tcp_listen(const char *address, struct err *err);

/* The port a socket is bound to. -errno. */
int tcp_port(int fd);

/*
 * The next connection: non-blocking, kept alive, given up when its other end is silent for
 * two minutes. -errno.
 */
int tcp_accept(int listen_fd, struct tcp_source *ret_source);

bool tcp_source_equal(const struct tcp_source *a, const struct tcp_source *b);

#endif
