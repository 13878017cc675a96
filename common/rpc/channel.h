/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection, for the files that make calls on it. */

#ifndef COMMON_RPC_CHANNEL_H
#define COMMON_RPC_CHANNEL_H

#include <stdatomic.h>

#include "core.h"
#include "rpc.h"

/* One connected socket. It never reconnects, and is not used again once it broke. */
struct connection {
	atomic_int references; /* the channel's, and one for each call */
	atomic_bool broken;
	grpc_channel *core;
	int fd;	      /* a duplicate, to see whether the server has gone; -1 with TLS */
	int state_fd; /* the server's state_page.h; -1: none */
	uint64_t number;
};

/* The channel's connection, made anew if none lives: a reference. NULL with *err. */
struct connection *channel_connect(struct rpc_channel *channel, struct err *err);
void connection_unref(struct connection *connection);

/* Borrowed from the channel. */
const char *channel_path(const struct rpc_channel *channel);

#endif
