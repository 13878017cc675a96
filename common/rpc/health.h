/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: which services of a server serve, and who watches that. */

#ifndef COMMON_RPC_HEALTH_H
#define COMMON_RPC_HEALTH_H

#include <stdbool.h>

#include "common/err.h"

struct health;
struct rpc_server;

struct health *health_new(void);
void health_free(struct health *health);

/* Any thread. Returns 0 or -ENOMEM. */
int health_set(struct health *health, const char *service, bool serving);
void health_set_all(struct health *health, bool serving);

/* Adds the service to the server. */
int health_serve(struct health *health, struct rpc_server *server, struct err *err);

#endif
