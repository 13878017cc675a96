/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that accepts connections, decides by SO_PEERCRED whose they are, and hands
 * each to the gRPC server of that peer. A stranger's bytes never reach HTTP/2.
 *
 * gRPC's own listener stops accepting for good once descriptors have run out; this one
 * waits and goes on.
 */

#ifndef COMMON_RPC_ACCEPT_H
#define COMMON_RPC_ACCEPT_H

#include "common/err.h"

struct acceptor;
struct rpc_server;

/* Accepts at the server's listener, which stays the server's. NULL with *err. */
struct acceptor *acceptor_start(struct rpc_server *server, struct err *err);
void acceptor_stop(struct acceptor *acceptor);

#endif
