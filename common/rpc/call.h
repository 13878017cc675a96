/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call at a server, from the slot that waits for it to its last completion.
 *
 * References: one for the way from slot to status (the slot, then the handler), and one
 * for each operation the core has in hand. Who drops the last one frees the call.
 */

#ifndef COMMON_RPC_CALL_H
#define COMMON_RPC_CALL_H

#include <stdatomic.h>

#include "server.h"

struct rpc_call {
	struct pool_job job;
	struct core_tag accepted;
	struct core_tag received;
	struct core_tag sent;
	struct core_tag closed;
	struct core_tag finished;
	atomic_int references;

	struct rpc_server *server;
	struct server_peer *peer;
	const struct method *method; /* NULL: unknown */
	struct rpc_call *previous;   /* in server->running, under its lock */
	struct rpc_call *next;

	/* Written by the core. */
	grpc_call *core;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *incoming;
	int core_cancelled;

	/* The handler's thread only. */
	bool headers_sent;
	bool received_ahead;	    /* rpc_call_poll() asked for the message that is next */
	grpc_byte_buffer *reply;    /* the one of a unary call, sent with the status */
	grpc_byte_buffer *outgoing; /* being sent */
	grpc_metadata trailer;	    /* status details */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool receiving; /* under lock, as what follows */
	bool sending;
	bool send_failed;
	bool stopping;
	bool woken;
	atomic_bool cancelled; /* written under lock, read anywhere */
};

/* Keeps enough calls waiting at the peer's gRPC server. */
void call_fill_slots(struct server_peer *peer);

/* Takes a reference for the operations and starts them. */
void call_start(struct rpc_call *call, const grpc_op *ops, size_t count, struct core_tag *tag);

/*
 * Ends the call with the handler's reply, or with *err unless it is NULL. Gives up the
 * caller's reference.
 */
void call_finish(struct rpc_call *call, const struct err *err);

/* False when the last message could not be sent. */
bool call_wait_sent(struct rpc_call *call);

/* Tells whoever waits in the call that the server stops. */
void call_set_stopping(struct rpc_call *call);

#endif
