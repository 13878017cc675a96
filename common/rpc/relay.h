/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS connection: its handshake, then bytes both ways between it and a socket pair
 * whose other end is the core's, then its end.
 *
 * Each direction holds one record (16 KiB) at most and takes no more before that is
 * written, so a side that does not read stops the other, as TCP does. An idle connection
 * has no buffers. Either side may close its direction and go on reading.
 *
 * Nothing here blocks. The owner watches both descriptors for edges (EPOLLET), and calls
 * relay_run() after each. One thread.
 */

#ifndef COMMON_RPC_RELAY_H
#define COMMON_RPC_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp.h"
#include "tls.h"
#include "tls_peer.h"

#define RELAY_CLOSE_MS 2000 /* for what is left to send when one side has ended */

enum relay_state {
	RELAY_HANDSHAKE,
	RELAY_KNOWN,   /* the handshake is done: relay_join() or relay_end() it */
	RELAY_OPEN,    /* bytes go both ways */
	RELAY_CLOSING, /* all is sent; waits for the client to have read it */
	RELAY_CLOSED,  /* to be freed */
};

struct relay_pipe {
	uint8_t *bytes; /* owned; NULL: empty */
	size_t start;
	size_t end;
	bool ended;  /* no more will come */
	bool passed; /* and the core was told, or knows */
};

struct relay {
	struct relay *next; /* the owner's */
	bool busy;	    /* the owner's: there is something to do */

	enum relay_state state;
	int64_t deadline_ms; /* CLOCK_MONOTONIC; 0: none */
	struct tcp_source source;
	struct tls_peer who;
	SSL *tls;
	int fd;	     /* of the TCP socket */
	int core_fd; /* our end of the pair; -1: none yet */
	struct relay_pipe in, out;
	char refusal[128]; /* why the handshake failed; empty: it did not, or nobody needs to know
			    */
};

/* NULL when out of memory; take_fd is closed then. */
struct relay *relay_new(const struct tls *tls, struct rpc_server *server, int take_fd,
			const struct tcp_source *source, int64_t deadline_ms);
/*
 * Stop watching its descriptors before: until a process that was forked has run exec it has
 * them too, and epoll tells of a connection as long as anybody has it.
 */
void relay_free(struct relay *relay);

/* Does what can be done now. True when there is more to do at once. */
bool relay_run(struct relay *relay, int64_t now_ms);

/* From now on bytes go to and from this end of a socket pair. */
void relay_join(struct relay *relay, int take_core_fd);

/* Ends the connection politely, or at once when it is still in its handshake. */
void relay_end(struct relay *relay, int64_t now_ms);

/* Whether the client has reset the connection, which no read or write may notice. */
bool relay_is_reset(const struct relay *relay);

#endif
