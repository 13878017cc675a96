/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of a server, for the files that make it up. */

#ifndef COMMON_RPC_SERVER_H
#define COMMON_RPC_SERVER_H

#include <pthread.h>
#include <stdbool.h>

#include "accept.h"
#include "core.h"
#include "descriptors.h"
#include "health.h"
#include "listener.h"
#include "log_limit.h"
#include "pool.h"
#include "rpc.h"
#include "state_page.h"
#include "tls_accept.h"

#define SERVER_PEERS_MAX 64

struct method {
	char *path; /* owned: "/hypeman.gpu.v1.GpuService/GetHost" */
	const ProtobufCMethodDescriptor *descriptor;
	bool client_streams;
	bool server_streams;
	bool any_peer; /* roles do not matter */
	unsigned roles;
	unsigned flags;
	rpc_handler handler; /* NULL: not implemented */
	void *user;
};

/* A peer and the gRPC server that only its connections are given to. */
struct server_peer {
	struct rpc_server *server;
	struct rpc_peer who;
	grpc_server *core;
	struct core_tag stopped;
	int slots;	/* calls that wait to be matched; under the server's lock, as below */
	int short_jobs; /* given to the pool and not finished */
	int long_jobs;
};

enum server_state {
	SERVER_SETUP, /* nothing of gRPC exists yet; one thread */
	SERVER_RUNNING,
	SERVER_STOPPED,
};

struct rpc_server {
	struct rpc_server_options options;
	enum server_state state;

	/* Fixed once started. */
	struct descriptors descriptors;
	size_t method_count;
	struct method *methods; /* sorted by path once started */
	size_t service_count;
	const ProtobufCServiceDescriptor **services;
	size_t peer_count;
	struct server_peer peers[SERVER_PEERS_MAX];
	struct listener listener;
	struct state_page *page; /* owned; NULL: no Unix socket */

	grpc_completion_queue *queue;
	pthread_t io_thread;
	struct pool *pool;
	struct acceptor *acceptor; /* NULL: no socket */
	struct tls_acceptor *tls;  /* NULL: no TLS */
	struct health *health;
	struct log_limit refusals; /* the I/O thread's */

	pthread_mutex_t lock; /* taken before a call's lock */
	pthread_cond_t idle;
	bool stopping;
	int live_calls;		  /* slots included */
	int running_cores;	  /* gRPC servers not yet shut down */
	struct rpc_call *running; /* list of matched calls */
};

/*
 * How much of a limit one peer may use: all of it when it is the only one, else three
 * quarters, so that no peer can shut the others out.
 */
int server_share(const struct rpc_server *server, int limit);

/* NULL when no service has it. The slice is the path as it came. */
const struct method *server_find_method(const struct rpc_server *server, grpc_slice path);

#endif
