/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that accepts TLS connections, does their handshakes, gives those of peers to
 * the peers' gRPC servers and carries their bytes.
 *
 * gRPC's own listener is not used: it stops accepting for good once descriptors have run
 * out, knows who calls only after its parsers have run, and tells it by call, not by
 * connection. Here a stranger's bytes reach OpenSSL and nothing else.
 */

#ifndef COMMON_RPC_TLS_ACCEPT_H
#define COMMON_RPC_TLS_ACCEPT_H

#include "common/err.h"

struct rpc_server;
struct rpc_tls_options;
struct tls_acceptor;

/* Binds and reads the files; nothing is accepted yet. NULL with *err. */
struct tls_acceptor *tls_acceptor_new(struct rpc_server *server,
				      const struct rpc_tls_options *options, struct err *err);
void tls_acceptor_free(struct tls_acceptor *acceptor);

int tls_acceptor_port(const struct tls_acceptor *acceptor);

/* Fails when there can be no thread. */
int tls_acceptor_start(struct tls_acceptor *acceptor, struct err *err);

/* When it returns, no connection is given to gRPC any more; those given go on. NULL is fine. */
void tls_acceptor_refuse(struct tls_acceptor *acceptor);

/* After gRPC has closed its ends: waits a little for the last bytes, ends the thread. */
void tls_acceptor_stop(struct tls_acceptor *acceptor);

#endif
