/* SPDX-License-Identifier: Apache-2.0 */
/* What unary calls and streams of a client have in common. */

#ifndef COMMON_RPC_CLIENT_CALL_H
#define COMMON_RPC_CLIENT_CALL_H

#include "channel.h"

struct client_call {
	struct connection *connection; /* a reference; NULL: not made */
	const char *path;	       /* of the socket; borrowed from the channel */
	char method[256];	       /* "/package.Service/Method" */
	int timeout_ms;		       /* negative: none */
	grpc_call *core;

	/* Written by the core. */
	grpc_metadata_array headers;
	grpc_metadata_array trailers;
	grpc_status_code code;
	grpc_slice text;
};

/* 0, or -1 with *err when there is no connection or no thread. */
int client_call_init(struct client_call *call, struct rpc_channel *channel,
		     const ProtobufCServiceDescriptor *service, unsigned method,
		     const struct rpc_call_options *options, struct err *err);
void client_call_done(struct client_call *call);

/* The operations that every call has; their results go to the call. */
grpc_op client_call_receive_headers(struct client_call *call);
grpc_op client_call_receive_status(struct client_call *call);

/* 0 for OK, else -1 with *err. A connection that was lost is not used again. */
int client_call_result(struct client_call *call, struct err *err);

#endif
