/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "common/scoped.h"

#define PIPE_BYTES (16 * 1024) /* the longest record of TLS */
#define ROUNDS	   8	       /* before another connection has its turn */

struct relay *relay_new(const struct tls *tls, struct rpc_server *server, int take_fd,
			const struct tcp_source *source, int64_t deadline_ms)
{
	scoped_fd int fd = take_fd;
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->tls = SSL_new(tls->context);
	if (!relay->tls || SSL_set_fd(relay->tls, fd) != 1) {
		ERR_clear_error();
		SSL_free(relay->tls);
		free(relay);
		return NULL;
	}
	SSL_set_accept_state(relay->tls);
	relay->who.server = server;
	SSL_set_app_data(relay->tls, &relay->who);
	relay->fd = TAKE_FD(fd);
	relay->core_fd = -1;
	relay->source = *source;
	relay->deadline_ms = deadline_ms;
	return relay;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	SSL_free(relay->tls);
	free(relay->in.bytes);
	free(relay->out.bytes);
	shutdown(relay->fd, SHUT_RDWR);
	close(relay->fd);
	if (relay->core_fd >= 0) {
		shutdown(relay->core_fd, SHUT_RDWR);
		close(relay->core_fd);
	}
	free(relay);
}

bool relay_is_reset(const struct relay *relay)
{
	socklen_t size = sizeof(int);
	int error = 0;

	return getsockopt(relay->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error;
}

/* ---- The end -------------------------------------------------------------------- */

/* To close a socket with unread bytes resets it, and takes from the client what we sent last. */
static void begin_close(struct relay *relay, int64_t now_ms)
{
	if (relay->core_fd >= 0)
		shutdown(relay->core_fd, SHUT_RDWR);
	shutdown(relay->fd, SHUT_WR);
	relay->deadline_ms = now_ms + RELAY_CLOSE_MS;
	relay->state = RELAY_CLOSING;
}

static bool discard(struct relay *relay)
{
	uint8_t bytes[4096];

	for (int i = 0; i < ROUNDS; i++) {
		ssize_t size = recv(relay->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (size > 0)
			continue;
		if (size == 0 || errno != EAGAIN)
			relay->state = RELAY_CLOSED;
		return false;
	}
	return true;
}

void relay_end(struct relay *relay, int64_t now_ms)
{
	if (relay->state == RELAY_HANDSHAKE || relay->state == RELAY_CLOSING) {
		relay->state = RELAY_CLOSED;
		return;
	}
	ERR_clear_error();
	(void)SSL_shutdown(relay->tls); /* if it cannot be sent now, the socket's end tells it */
	begin_close(relay, now_ms);
}

/* ---- The handshake -------------------------------------------------------------- */

static bool wants_more(int result)
{
	return result == SSL_ERROR_WANT_READ || result == SSL_ERROR_WANT_WRITE;
}

static void note_refusal(struct relay *relay)
{
	long verified = SSL_get_verify_result(relay->tls);

	if (verified == X509_V_ERR_APPLICATION_VERIFICATION)
		snprintf(relay->refusal, sizeof(relay->refusal),
			 "no configured peer has a name of its certificate (%.80s)",
			 relay->who.names[0] ? relay->who.names : "it has none");
	else if (verified != X509_V_OK)
		snprintf(relay->refusal, sizeof(relay->refusal), "its certificate is refused: %s",
			 X509_verify_cert_error_string(verified));
	else
		snprintf(relay->refusal, sizeof(relay->refusal), "%s", tls_error_text());
	ERR_clear_error();
}

static bool speaks_http2(const struct relay *relay)
{
	const unsigned char *protocol;
	unsigned size;

	SSL_get0_alpn_selected(relay->tls, &protocol, &size);
	return size == 2 && memcmp(protocol, "h2", 2) == 0;
}

static void shake_hands(struct relay *relay, int64_t now_ms)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(relay->tls);
	if (r == 1 && speaks_http2(relay)) {
		relay->state = RELAY_KNOWN;
		relay->deadline_ms = 0;
	} else if (r == 1) {
		snprintf(relay->refusal, sizeof(relay->refusal), "it does not offer HTTP/2 (ALPN)");
		relay->state = RELAY_KNOWN;
		relay_end(relay, now_ms);
	} else if (!wants_more(SSL_get_error(relay->tls, r))) {
		note_refusal(relay);
		begin_close(relay, now_ms); /* an alert that says why was sent */
	}
}

/* ---- Bytes ---------------------------------------------------------------------- */

static bool is_empty(const struct relay_pipe *pipe)
{
	return pipe->start == pipe->end;
}

/* Whether the pipe is ready to be filled. */
static bool make_room(struct relay *relay, struct relay_pipe *pipe)
{
	if (pipe->ended || !is_empty(pipe))
		return false;
	pipe->start = pipe->end = 0;
	if (!pipe->bytes)
		pipe->bytes = malloc(PIPE_BYTES);
	if (!pipe->bytes)
		relay->state = RELAY_CLOSED;
	return pipe->bytes != NULL;
}

static void drop_if_empty(struct relay_pipe *pipe)
{
	if (!is_empty(pipe))
		return;
	free(pipe->bytes);
	pipe->bytes = NULL;
}

/* The four below do one step, and say whether it got anywhere. */
static bool fill_from_tls(struct relay *relay)
{
	struct relay_pipe *pipe = &relay->in;
	size_t size = 0;
	int error;

	if (!make_room(relay, pipe))
		return false;
	ERR_clear_error();
	if (SSL_read_ex(relay->tls, pipe->bytes, PIPE_BYTES, &size)) {
		pipe->end = size;
		return true;
	}
	error = SSL_get_error(relay->tls, 0);
	if (wants_more(error))
		return false;
	if (error == SSL_ERROR_ZERO_RETURN)
		pipe->ended = true;
	else
		relay->state = RELAY_CLOSED; /* most clients end so, without a goodbye */
	return true;
}

static bool empty_to_core(struct relay *relay, int64_t now_ms)
{
	struct relay_pipe *pipe = &relay->in;
	ssize_t size;

	if (is_empty(pipe)) {
		if (!pipe->ended || pipe->passed)
			return false;
		shutdown(relay->core_fd, SHUT_WR);
		pipe->passed = true;
		relay->deadline_ms = now_ms + RELAY_CLOSE_MS;
		return true;
	}
	size = send(relay->core_fd, pipe->bytes + pipe->start, pipe->end - pipe->start,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (size < 0 && errno == EAGAIN)
		return false;
	if (size >= 0) {
		pipe->start += (size_t)size;
	} else { /* the core has closed its end: nobody reads this */
		pipe->start = pipe->end;
		pipe->ended = pipe->passed = true;
	}
	return true;
}

static bool fill_from_core(struct relay *relay)
{
	struct relay_pipe *pipe = &relay->out;
	ssize_t size;

	if (!make_room(relay, pipe))
		return false;
	size = recv(relay->core_fd, pipe->bytes, PIPE_BYTES, MSG_DONTWAIT);
	if (size < 0 && errno == EAGAIN)
		return false;
	if (size > 0)
		pipe->end = (size_t)size;
	else
		pipe->ended = true;
	return true;
}

static bool empty_to_tls(struct relay *relay, int64_t now_ms)
{
	struct relay_pipe *pipe = &relay->out;
	size_t size = 0;

	if (is_empty(pipe)) {
		if (pipe->ended)
			relay_end(relay, now_ms);
		return pipe->ended;
	}
	ERR_clear_error();
	if (SSL_write_ex(relay->tls, pipe->bytes + pipe->start, pipe->end - pipe->start, &size))
		pipe->start += size;
	else if (wants_more(SSL_get_error(relay->tls, 0)))
		return false;
	else
		relay->state = RELAY_CLOSED;
	return true;
}

/* One step of each. */
static bool move_once(struct relay *relay, int64_t now_ms)
{
	bool moved = fill_from_tls(relay);

	if (relay->state == RELAY_OPEN)
		moved |= empty_to_core(relay, now_ms);
	if (relay->state == RELAY_OPEN)
		moved |= fill_from_core(relay);
	if (relay->state == RELAY_OPEN)
		moved |= empty_to_tls(relay, now_ms);
	return moved;
}

/* True when it still gets on after some rounds. */
static bool move_bytes(struct relay *relay, int64_t now_ms)
{
	bool moved = true;

	for (int i = 0; i < ROUNDS && moved && relay->state == RELAY_OPEN; i++)
		moved = move_once(relay, now_ms);
	drop_if_empty(&relay->in);
	drop_if_empty(&relay->out);
	return moved;
}

void relay_join(struct relay *relay, int take_core_fd)
{
	relay->core_fd = take_core_fd;
	relay->state = RELAY_OPEN;
}

bool relay_run(struct relay *relay, int64_t now_ms)
{
	if (relay->deadline_ms && now_ms >= relay->deadline_ms) {
		if (relay->state == RELAY_HANDSHAKE)
			snprintf(relay->refusal, sizeof(relay->refusal),
				 "its handshake was not done in time");
		relay->state = RELAY_CLOSED;
	}
	switch (relay->state) {
	case RELAY_HANDSHAKE:
		shake_hands(relay, now_ms);
		return relay->state != RELAY_HANDSHAKE;
	case RELAY_OPEN:
		return move_bytes(relay, now_ms);
	case RELAY_CLOSING:
		return discard(relay);
	case RELAY_KNOWN:
	case RELAY_CLOSED:
		return false;
	}
	return false;
}
