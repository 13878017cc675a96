/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_accept.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/scoped.h"

#include "relay.h"
#include "server.h"

#define HANDSHAKES_MAX	64 /* at once; the oldest makes room for a new one */
#define ACCEPTS_AT_ONCE 16 /* before connections have their turn */
#define EVENTS_AT_ONCE	64
#define PAUSE_MS	20  /* after accept() failed for want of descriptors or memory */
#define TICK_MS		250 /* how late a deadline is noticed */
#define FILES_CHECK_MS	1000
#define IDLE_MS		5000 /* without connections only the files are looked at */

enum stage {
	RUNNING,
	REFUSING, /* no new connections */
	STOPPING, /* and those there are end soon */
};

struct tls_acceptor {
	struct rpc_server *server;
	struct rpc_tls_options options; /* numbers only; the texts are copied elsewhere */
	int listen_fd;
	int port;
	int wake_fd;
	int epoll_fd;
	bool has_thread;
	pthread_t thread;

	pthread_mutex_t lock; /* held while a connection is given to gRPC */
	enum stage stage;

	/* The thread's. */
	struct tls tls;
	struct relay *relays; /* owned; newest first */
	int64_t files_checked_ms;
	int64_t paused_until_ms; /* 0: accepts */
	struct log_limit refusals, excess, exhaustion;
};

static int64_t now_ms(void)
{
	struct timespec now = core_time_after(0);

	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum stage stage_of(struct tls_acceptor *acceptor)
{
	enum stage stage;

	pthread_mutex_lock(&acceptor->lock);
	stage = acceptor->stage;
	pthread_mutex_unlock(&acceptor->lock);
	return stage;
}

static int watch(const struct tls_acceptor *acceptor, int fd, uint32_t events, void *what)
{
	struct epoll_event event = { .events = events, .data.ptr = what };

	return epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void unwatch(const struct tls_acceptor *acceptor, int fd)
{
	if (fd >= 0)
		(void)epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void drop(const struct tls_acceptor *acceptor, struct relay *relay)
{
	unwatch(acceptor, relay->fd);
	unwatch(acceptor, relay->core_fd);
	relay_free(relay);
}

/* ---- From handshake to gRPC ------------------------------------------------------- */

static bool is_established(const struct relay *relay)
{
	return relay->state == RELAY_OPEN;
}

static bool has_place(const struct tls_acceptor *acceptor, const struct server_peer *peer)
{
	int all = 0, same = 0;

	for (const struct relay *relay = acceptor->relays; relay; relay = relay->next) {
		all += is_established(relay);
		same += is_established(relay) && relay->who.peer == peer;
	}
	return all < acceptor->options.max_connections &&
	       same < server_share(acceptor->server, acceptor->options.max_connections);
}

/* A socket pair: one end for the relay, the other for the peer's gRPC server. 0 or -errno. */
static int connect_core(struct tls_acceptor *acceptor, struct relay *relay)
{
	const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	grpc_server_credentials *none;
	int ends[2];
	int r = -ESHUTDOWN;

	if (socketpair(AF_UNIX, type, 0, ends) < 0)
		return -errno;
	pthread_mutex_lock(&acceptor->lock);
	if (acceptor->stage == RUNNING)
		r = watch(acceptor, ends[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, relay);
	if (r == 0) {
		none = grpc_insecure_server_credentials_create();
		grpc_server_add_channel_from_fd(relay->who.peer->core, ends[1], none);
		grpc_server_credentials_release(none);
		relay_join(relay, ends[0]);
	}
	pthread_mutex_unlock(&acceptor->lock);
	if (r < 0) { /* not watched, then */
		close(ends[0]);
		close(ends[1]);
	}
	return r;
}

static void admit(struct tls_acceptor *acceptor, struct relay *relay, int64_t now)
{
	const char *peer = relay->who.peer->who.name;
	int r;

	if (!has_place(acceptor, relay->who.peer)) {
		if (log_limit_allows(&acceptor->excess))
			log_warning("refused a connection of peer %s (%s): too many are open", peer,
				    relay->source.text);
		relay_end(relay, now);
		return;
	}
	r = connect_core(acceptor, relay);
	if (r < 0) {
		if (r != -ESHUTDOWN && log_limit_allows(&acceptor->exhaustion))
			log_warning("refused a connection of peer %s (%s): %s", peer,
				    relay->source.text, strerror(-r));
		relay_end(relay, now);
		return;
	}
	log_debug("peer %s connected from %s (%s)", peer, relay->source.text, relay->who.names);
}

/* True when there is more to do at once. */
static bool serve(struct tls_acceptor *acceptor, struct relay *relay, int64_t now)
{
	bool more = relay_run(relay, now);

	if (relay->state == RELAY_KNOWN) {
		admit(acceptor, relay, now);
		more = true;
	}
	if (relay->refusal[0]) {
		if (log_limit_allows(&acceptor->refusals))
			log_warning("refused a TLS connection from %s: %s", relay->source.text,
				    relay->refusal);
		relay->refusal[0] = '\0';
	}
	return more;
}

/* ---- Accepting ------------------------------------------------------------------ */

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void set_paused(struct tls_acceptor *acceptor, int64_t until_ms)
{
	struct epoll_event event = { .events = until_ms ? 0 : EPOLLIN, .data.ptr = acceptor };

	acceptor->paused_until_ms = until_ms;
	(void)epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_MOD, acceptor->listen_fd, &event);
}

static int connections_from(const struct tls_acceptor *acceptor, const struct tcp_source *source)
{
	int count = 0;

	for (const struct relay *relay = acceptor->relays; relay; relay = relay->next)
		count += tcp_source_equal(&relay->source, source);
	return count;
}

/* Who opens connections and says nothing may not keep others out. */
static void make_room(struct tls_acceptor *acceptor)
{
	struct relay *oldest = NULL;
	int count = 0;

	for (struct relay *relay = acceptor->relays; relay; relay = relay->next)
		if (!is_established(relay) && relay->state != RELAY_CLOSED) {
			oldest = relay;
			count++;
		}
	if (count < HANDSHAKES_MAX)
		return;
	relay_end(oldest, now_ms());
	oldest->busy = true;
}

static void take_connection(struct tls_acceptor *acceptor, int take_fd,
			    const struct tcp_source *source, int64_t now)
{
	scoped_fd int fd = take_fd;
	struct relay *relay;

	if (connections_from(acceptor, source) >= acceptor->options.max_per_address) {
		if (log_limit_allows(&acceptor->excess))
			log_warning("refused a connection from %s: %d are open from there",
				    source->text, acceptor->options.max_per_address);
		return;
	}
	make_room(acceptor);
	relay = relay_new(&acceptor->tls, acceptor->server, TAKE_FD(fd), source,
			  now + acceptor->options.handshake_ms);
	if (!relay ||
	    watch(acceptor, relay->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, relay)) {
		relay_free(relay);
		return;
	}
	relay->next = acceptor->relays;
	acceptor->relays = relay;
}

static void accept_some(struct tls_acceptor *acceptor, int64_t now)
{
	struct tcp_source source;

	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int fd = tcp_accept(acceptor->listen_fd, &source);

		if (fd >= 0) {
			take_connection(acceptor, fd, &source, now);
			continue;
		}
		if (is_shortage(-fd)) {
			if (log_limit_allows(&acceptor->exhaustion))
				log_warning("cannot accept a connection, waiting: %s",
					    strerror(-fd));
			set_paused(acceptor, now + PAUSE_MS);
		}
		return;
	}
}

/* ---- Time ----------------------------------------------------------------------- */

/* A connection ends with the trust that it began with. */
static void drop_distrusted(struct tls_acceptor *acceptor, bool files_changed, int64_t now)
{
	for (struct relay *relay = acceptor->relays; relay; relay = relay->next) {
		const X509 *certificate;
		const char *why = NULL;

		if (!is_established(relay))
			continue;
		certificate = SSL_get0_peer_certificate(relay->tls);
		if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
			why = "its certificate has expired";
		else if (files_changed)
			why = tls_distrust(&acceptor->tls, relay->tls);
		if (!why)
			continue;
		log_warning("closed the connection of peer %s from %s: %s",
			    relay->who.peer->who.name, relay->source.text, why);
		relay_end(relay, now);
		relay->busy = true;
	}
}

static void look_at_files(struct tls_acceptor *acceptor, int64_t now)
{
	if (now - acceptor->files_checked_ms < FILES_CHECK_MS)
		return;
	acceptor->files_checked_ms = now;
	drop_distrusted(acceptor, tls_refresh(&acceptor->tls), now);
}

/* ---- The thread ----------------------------------------------------------------- */

static int wait_time(const struct tls_acceptor *acceptor, bool more)
{
	if (more)
		return 0;
	if (acceptor->paused_until_ms)
		return PAUSE_MS;
	for (const struct relay *relay = acceptor->relays; relay; relay = relay->next)
		if (relay->deadline_ms)
			return TICK_MS;
	return acceptor->relays ? FILES_CHECK_MS : IDLE_MS;
}

/* Events only say whom to serve: a connection may have several, and end at the first. */
static void note_events(struct tls_acceptor *acceptor, const struct epoll_event *events, int count,
			bool *ret_accept)
{
	*ret_accept = false;
	for (int i = 0; i < count; i++) {
		struct relay *relay = events[i].data.ptr;

		if (events[i].data.ptr == acceptor) {
			*ret_accept = true;
		} else if (relay) {
			relay->busy = true;
			if ((events[i].events & EPOLLERR) && relay_is_reset(relay))
				relay->state = RELAY_CLOSED;
		} else {
			eventfd_t ignored;

			(void)eventfd_read(acceptor->wake_fd, &ignored);
		}
	}
}

/* Serves those that have something to do; true when some have more. */
static bool serve_all(struct tls_acceptor *acceptor, int64_t now)
{
	struct relay **link = &acceptor->relays;
	bool more = false;

	while (*link) {
		struct relay *relay = *link;

		if (relay->busy || (relay->deadline_ms && now >= relay->deadline_ms))
			relay->busy = serve(acceptor, relay, now);
		if (relay->state == RELAY_CLOSED) {
			*link = relay->next;
			drop(acceptor, relay);
			continue;
		}
		more |= relay->busy;
		link = &relay->next;
	}
	return more;
}

static void close_listener(struct tls_acceptor *acceptor)
{
	if (acceptor->listen_fd < 0)
		return;
	unwatch(acceptor, acceptor->listen_fd);
	close(TAKE_FD(acceptor->listen_fd));
	acceptor->paused_until_ms = 0;
}

/* Who is not known by now will not be. */
static void refuse_all(struct tls_acceptor *acceptor, int64_t now)
{
	close_listener(acceptor);
	for (struct relay *relay = acceptor->relays; relay; relay = relay->next)
		if (relay->state == RELAY_HANDSHAKE) {
			relay_end(relay, now);
			relay->busy = true;
		}
}

static void drop_all(struct tls_acceptor *acceptor)
{
	while (acceptor->relays) {
		struct relay *relay = acceptor->relays;

		acceptor->relays = relay->next;
		drop(acceptor, relay);
	}
}

static void *run(void *arg)
{
	struct tls_acceptor *acceptor = arg;
	struct epoll_event events[EVENTS_AT_ONCE];
	int64_t stop_by_ms = 0;
	bool more = false;

	for (;;) {
		int count = epoll_wait(acceptor->epoll_fd, events, EVENTS_AT_ONCE,
				       wait_time(acceptor, more));
		enum stage stage = stage_of(acceptor);
		int64_t now = now_ms();
		bool accepts;

		note_events(acceptor, events, count, &accepts);
		if (stage != RUNNING)
			refuse_all(acceptor, now);
		else
			look_at_files(acceptor, now);
		if (acceptor->paused_until_ms && now >= acceptor->paused_until_ms)
			set_paused(acceptor, 0);
		if (accepts && acceptor->listen_fd >= 0)
			accept_some(acceptor, now);
		more = serve_all(acceptor, now);
		if (stage == STOPPING && !stop_by_ms)
			stop_by_ms = now + RELAY_CLOSE_MS;
		if (stage == STOPPING && (!acceptor->relays || now >= stop_by_ms))
			break;
	}
	drop_all(acceptor);
	return NULL;
}

/* ---- Made, started, stopped ------------------------------------------------------- */

static int value_or(int value, int standard)
{
	return value > 0 ? value : standard;
}

static int open_descriptors(struct tls_acceptor *acceptor, struct err *err)
{
	int r;

	acceptor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	acceptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (acceptor->wake_fd < 0 || acceptor->epoll_fd < 0)
		return err_sys(err, errno, "cannot accept TLS connections");
	r = watch(acceptor, acceptor->wake_fd, EPOLLIN, NULL);
	if (r == 0)
		r = watch(acceptor, acceptor->listen_fd, EPOLLIN, acceptor);
	return r < 0 ? err_sys(err, r, "cannot accept TLS connections") : 0;
}

struct tls_acceptor *tls_acceptor_new(struct rpc_server *server,
				      const struct rpc_tls_options *options, struct err *err)
{
	const char *const paths[TLS_FILE_COUNT] = {
		[TLS_CERTIFICATE] = options->certificate,
		[TLS_KEY] = options->key,
		[TLS_AUTHORITIES] = options->ca,
		[TLS_REVOKED] = options->crl,
	};
	struct tls_acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (!acceptor) {
		err_sys(err, ENOMEM, "cannot accept TLS connections");
		return NULL;
	}
	pthread_mutex_init(&acceptor->lock, NULL);
	acceptor->server = server;
	acceptor->options.max_connections = value_or(options->max_connections, 256);
	acceptor->options.max_per_address = value_or(options->max_per_address, 64);
	acceptor->options.handshake_ms = value_or(options->handshake_ms, 5000);
	acceptor->wake_fd = acceptor->epoll_fd = acceptor->listen_fd = -1;
	if (tls_open(&acceptor->tls, paths, err) == 0)
		acceptor->listen_fd = tcp_listen(options->address, err);
	if (acceptor->listen_fd >= 0 && open_descriptors(acceptor, err) == 0) {
		acceptor->port = tcp_port(acceptor->listen_fd);
		return acceptor;
	}
	tls_acceptor_free(acceptor);
	return NULL;
}

void tls_acceptor_free(struct tls_acceptor *acceptor)
{
	if (!acceptor)
		return;
	close_listener(acceptor);
	if (acceptor->wake_fd >= 0)
		close(acceptor->wake_fd);
	if (acceptor->epoll_fd >= 0)
		close(acceptor->epoll_fd);
	tls_close(&acceptor->tls);
	pthread_mutex_destroy(&acceptor->lock);
	free(acceptor);
}

int tls_acceptor_port(const struct tls_acceptor *acceptor)
{
	return acceptor->port;
}

int tls_acceptor_start(struct tls_acceptor *acceptor, struct err *err)
{
	int r = core_thread_start(&acceptor->thread, run, acceptor);

	if (r < 0)
		return err_sys(err, r, "cannot accept TLS connections");
	acceptor->has_thread = true;
	return 0;
}

static void enter(struct tls_acceptor *acceptor, enum stage stage)
{
	pthread_mutex_lock(&acceptor->lock);
	acceptor->stage = stage;
	pthread_mutex_unlock(&acceptor->lock);
	(void)eventfd_write(acceptor->wake_fd, 1);
}

void tls_acceptor_refuse(struct tls_acceptor *acceptor)
{
	if (acceptor)
		enter(acceptor, REFUSING);
}

void tls_acceptor_stop(struct tls_acceptor *acceptor)
{
	if (!acceptor || !acceptor->has_thread)
		return;
	enter(acceptor, STOPPING);
	pthread_join(acceptor->thread, NULL);
	acceptor->has_thread = false;
}
