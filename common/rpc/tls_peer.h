/* SPDX-License-Identifier: Apache-2.0 */
/* Which peer a client certificate is, by its subject alternative names. */

#ifndef COMMON_RPC_TLS_PEER_H
#define COMMON_RPC_TLS_PEER_H

#include <openssl/ssl.h>

#include "server.h"

/* What a connection's handshake finds out; the SSL's app data points at it. */
struct tls_peer {
	struct rpc_server *server;	/* borrowed */
	const struct server_peer *peer; /* borrowed from the server; NULL: none yet */
	char names[256];		/* the certificate's names, for logs */
};

/*
 * For SSL_CTX_set_cert_verify_callback(): the chain must be good for a TLS client, and a
 * name in the certificate must be a peer's. Fills the connection's struct tls_peer.
 */
int tls_peer_verify(X509_STORE_CTX *check, void *unused);

#endif
