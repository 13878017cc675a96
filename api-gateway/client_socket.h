/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a connection's socket. civetweb keeps it to itself, and without it a client
 * that went away is noticed only at the second failing write: half a minute, at one
 * heartbeat in 15 s.
 */

#ifndef API_GATEWAY_CLIENT_SOCKET_H
#define API_GATEWAY_CLIENT_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The descriptor of this process that is connected to address:port (IPv4), -1 if there
 * is none. Borrowed: it stays valid as long as the caller holds the connection.
 */
int client_socket_find(const char *address, uint16_t port, uint16_t local_port);

/* The peer has closed its side or the connection broke. False for -1. */
bool client_socket_is_closed(int fd);

#endif
