/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.reflection.v1 and v1alpha: stock tools learn services and messages from a running
 * server.
 */

#ifndef COMMON_RPC_REFLECTION_H
#define COMMON_RPC_REFLECTION_H

#include "common/err.h"

struct rpc_server;

/* Adds both services. They answer from what the server knows once it runs. */
int reflection_serve(struct rpc_server *server, struct err *err);

#endif
