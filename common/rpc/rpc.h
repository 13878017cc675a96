/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC server and client for plain C, on gRPC's C core and protobuf-c descriptors.
 * No other code of the project includes a header of gRPC, or of OpenSSL but for digests.
 *
 * Threads of a server: one I/O thread for all completions, a bounded pool of workers
 * that run handlers, a bounded number of threads for methods marked RPC_LONG, one thread
 * that accepts on the Unix socket, and one that accepts and carries TLS connections.
 * Threads of a client: one poller for the whole process.
 *
 * A request is checked (size, depth, number of elements, UTF-8, NUL) before it is
 * unpacked; what does not pass is INVALID_ARGUMENT (`malformed_message`).
 */

#ifndef COMMON_RPC_RPC_H
#define COMMON_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"

/*
 * Once per process, before the first thread: keeps malloc to one arena, blocks SIGPIPE,
 * points gRPC's log at ours, switches Abseil's deadlock detector off (Debian's build aborts
 * the process on a lock order cycle), clears GRPC_*, OPENSSL_* and http_proxy from the
 * environment, starts gRPC. The caller has blocked the signals it waits for already.
 * rpc_global_done() joins every thread of the library.
 */
int rpc_global_init(struct err *err);
void rpc_global_done(void);

/* ---- Server ------------------------------------------------------------------- */

/* Who is calling, fixed when the connection was accepted. */
struct rpc_peer {
	char name[32];	/* "instance-svc": as configured */
	uid_t uid;	/* of a user of this host, by the Unix socket; (uid_t)-1 when san is set */
	unsigned roles; /* bits the service defines */

	/*
	 * Empty, or a subject alternative name: who shows a certificate with it, by TLS.
	 * With a colon it is a URI ("spiffe://example.org/controller"), without one a DNS
	 * name. Compared byte by byte; no wildcards.
	 */
	char san[256];
};

struct rpc_server;
struct rpc_call;

/*
 * Runs one call. The request belongs to the layer until the handler returns and is NULL
 * for methods whose requests are streamed. Returns 0 after rpc_call_send() (once for a
 * unary reply, any number of times for a stream), or -1 with *err filled.
 */
typedef int (*rpc_handler)(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			   struct err *err);

enum rpc_method_flags {
	RPC_LONG = 1, /* may run for hours (a watch): a thread of its own, capped in number */
	RPC_READ = 2, /* changes nothing; the end of every other call is noted as a change */
};

struct rpc_method {
	const char *name; /* as in the .proto; the table ends with NULL */
	unsigned roles;	  /* a peer with any of these bits may call */
	rpc_handler handler;
	unsigned flags;
};

/*
 * Something that callers can see has changed by itself: to be told after it has, in any thread.
 * See rpc_channel_state().
 */
void rpc_server_note_change(struct rpc_server *server);

/* Of each limit on calls and connections, one peer among several gets three quarters. */
struct rpc_server_options {
	int workers;	       /* default 16 */
	int queue;	       /* calls that wait for a worker; default 256, then `overloaded` */
	int long_calls;	       /* RPC_LONG calls at once; default 64, then `overloaded` */
	int max_request_bytes; /* default 1 MiB, then `message_too_large` */
	int max_streams;       /* calls at once on one connection; default 128 */
	int max_connections;   /* over all peers; default 256, then refused at accept */
};

/* NULL options: the defaults. Returns NULL when out of memory. */
struct rpc_server *rpc_server_new(const struct rpc_server_options *options);
void rpc_server_free(struct rpc_server *server); /* stopped, or never started; NULL is fine */

/*
 * A serialized FileDescriptorSet (protoc --include_imports) that must outlive the server;
 * tells streaming kinds and feeds reflection. Needed before the services it describes.
 */
int rpc_server_add_descriptors(struct rpc_server *server, const uint8_t *set, size_t size,
			       struct err *err);

/* Fails when the table names a method that the service lacks. A missing one is UNIMPLEMENTED. */
int rpc_server_add_service(struct rpc_server *server, const ProtobufCServiceDescriptor *service,
			   const struct rpc_method *methods, void *user, struct err *err);

/* grpc.health.v1 and server reflection v1 and v1alpha, open to every peer that connects. */
int rpc_server_add_standard_services(struct rpc_server *server, struct err *err);

/* Health of one service, or of the whole server for "". Any thread. */
void rpc_server_set_health(struct rpc_server *server, const char *service, bool serving);

/*
 * Lets one uid, or one certificate name, connect. Each peer gets a grpc_server of its own on the
 * shared queue, so that a call's identity can never be another connection's. At most 64.
 */
int rpc_server_add_peer(struct rpc_server *server, const struct rpc_peer *peer, struct err *err);

/*
 * Binds a Unix socket: a stale one left by a dead process is replaced, a live one is an
 * error (flock on <path>.lock). Connections are accepted by our own loop, which checks
 * SO_PEERCRED before gRPC sees a byte and survives running out of descriptors.
 */
int rpc_server_listen_unix(struct rpc_server *server, const char *path, mode_t mode,
			   struct err *err);

/*
 * Files are PEM, and read again when they have changed: looked at every five seconds, every
 * second while there are connections or new ones come. Files that cannot
 * be used are reported in the log and those before stay in force. After a change each open
 * connection is checked anew, and closed if its certificate would now be refused.
 */
struct rpc_tls_options {
	const char *address;	 /* "192.0.2.1:7443", "[2001:db8::1]:7443", no names */
	const char *certificate; /* the server's, then those between it and its CA's */
	const char *key;	 /* of the certificate; no password, and mode o-rwx */
	const char *ca;		 /* who may vouch for clients */
	const char *crl;	 /* revoked certificates, one list of each CA; NULL: none */
	int max_connections;	 /* over all peers; default 256, three descriptors each */
	int max_per_address;	 /* of an IPv4 address or an IPv6 /64; default 64 */
	int handshake_ms;	 /* default 5000, then closed */
};

/*
 * Listens on TCP for clients that prove by a certificate which peer they are: TLS 1.3, HTTP/2
 * by ALPN, chain to the CA, fit for clientAuth, in its time, not revoked, and a URI or else
 * a DNS name of it is a peer's `san`. TLS ends here and only what is inside goes to gRPC, so
 * that who calls is known before gRPC sees a byte. A connection ends when its certificate
 * expires. May stand beside a Unix socket; the options are copied.
 */
int rpc_server_listen_tls(struct rpc_server *server, const struct rpc_tls_options *options,
			  struct err *err);
int rpc_server_tls_port(const struct rpc_server *server); /* for an address with port 0 */

int rpc_server_start(struct rpc_server *server, struct err *err);

/* Refuses new calls, waits up to grace_ms for running ones, cancels the rest, waits for them. */
void rpc_server_stop(struct rpc_server *server, int grace_ms);

/* ---- Inside a handler ---------------------------------------------------------- */

const struct rpc_peer *rpc_call_peer(const struct rpc_call *call);

/* 0, or -ECANCELED when the caller has gone. The message may live on the stack. */
int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message);

/*
 * Next message of a streamed request. 1 with *ret (free with
 * protobuf_c_message_free_unpacked), 0 at the end, -1 with *err.
 */
int rpc_call_receive(struct rpc_call *call, ProtobufCMessage **ret, struct err *err);

bool rpc_call_cancelled(const struct rpc_call *call);

/*
 * Waits until the call is cancelled or the server stops (true), or until the time is over
 * or rpc_call_wake() was called (false). A negative time: no limit.
 */
bool rpc_call_wait_cancelled(struct rpc_call *call, int timeout_ms);

/*
 * Ends the call's current or next rpc_call_wait_cancelled() early: for watches, when there
 * is something new to send. Any thread, while the handler runs.
 */
void rpc_call_wake(struct rpc_call *call);

/*
 * For a handler that sends and receives at once: waits until something of `wanted` can be
 * done without waiting, rpc_call_wake() was called, the call is over, or the time is up.
 * Returns what can be done, RPC_OVER when the caller has gone or the server stops.
 */
enum rpc_call_ready {
	RPC_MAY_RECEIVE = 1, /* the next message, or their end, is there */
	RPC_MAY_SEND = 2,
	RPC_OVER = 4,
};
unsigned rpc_call_poll(struct rpc_call *call, unsigned wanted, int timeout_ms);

/* INT64_MAX without a deadline; 0 when it has passed. */
int64_t rpc_call_time_left_ms(const struct rpc_call *call);

/* ---- Client -------------------------------------------------------------------- */

struct rpc_channel;
struct rpc_stream;

/*
 * A connection to the Unix socket `path`, made at the first call and again whenever it
 * was lost, without back-off. Refuses a server whose SO_PEERCRED uid is not server_uid
 * ((uid_t)-1: any). Thread safe.
 */
struct rpc_channel *rpc_channel_new(const char *path, uid_t server_uid);

/*
 * The same by TLS to a server elsewhere; calls wait for the connection. Files are PEM and
 * read for each new connection. The texts are copied.
 */
struct rpc_tls_client {
	const char *address;	 /* "192.0.2.1:7443", "[2001:db8::1]:7443" */
	const char *ca;		 /* who may vouch for the server */
	const char *certificate; /* ours */
	const char *key;
	const char *server_name; /* that the server's certificate must have */
};
struct rpc_channel *rpc_channel_new_tls(const struct rpc_tls_client *client);

void rpc_channel_free(struct rpc_channel *channel); /* after its calls ended */

/*
 * What tells, without a call, that a server of a Unix socket has answered no write since: equal
 * states, of which the first was taken before the server was asked for something, mean that what
 * it answered is still as good as new (state_page.h).
 */
struct rpc_state {
	uint64_t connection; /* never the same for another */
	uint64_t epoch;
	uint64_t generation;
};

/* False when the channel is not connected now, or its server does not tell. */
bool rpc_channel_state(struct rpc_channel *channel, struct rpc_state *ret);

struct rpc_call_options {
	int timeout_ms; /* 0: 30 s; negative: none */
	struct rpc_call
		*parent; /* pass on deadline and cancellation of a server's call; may be NULL */
};

/*
 * One unary call of service->methods[method]. *ret is freed with
 * protobuf_c_message_free_unpacked(). On failure *err holds the server's reason, message
 * and details, or: `unavailable` (not connected, connection lost before an answer),
 * `outcome_unknown` (deadline passed), `cancelled`.
 */
int rpc_channel_call(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
		     unsigned method, const ProtobufCMessage *request,
		     const struct rpc_call_options *options, ProtobufCMessage **ret,
		     struct err *err);

/* NULL with *err when it cannot connect. End it with rpc_stream_finish(). */
struct rpc_stream *rpc_stream_open(struct rpc_channel *channel,
				   const ProtobufCServiceDescriptor *service, unsigned method,
				   const struct rpc_call_options *options, struct err *err);
int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *message); /* 0, -ECANCELED */
int rpc_stream_close_send(struct rpc_stream *stream);

/* 1 with *ret, 0 at the end of the stream (then rpc_stream_finish tells how it ended). */
int rpc_stream_receive(struct rpc_stream *stream, ProtobufCMessage **ret);

/* As rpc_stream_receive(), but -ETIMEDOUT after timeout_ms; a later call goes on waiting. */
int rpc_stream_receive_timeout(struct rpc_stream *stream, int timeout_ms, ProtobufCMessage **ret);

void rpc_stream_cancel(struct rpc_stream *stream); /* any thread */

/* Cancels what still runs, waits for the status, frees the stream. 0, or -1 with *err. */
int rpc_stream_finish(struct rpc_stream *stream, struct err *err);

/* Index of a method by name, for tables filled at start; -1 if the service lacks it. */
int rpc_method_index(const ProtobufCServiceDescriptor *service, const char *name);

#endif
