/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/rpc/utf8.h"

#include "text.h"

#define LOOK_INTERVAL_MS 500
#define CLOSE_WAIT_MS	 2000

struct websocket {
	int fd;			     /* borrowed */
	const atomic_bool *stopping; /* borrowed */
	pthread_mutex_t sending;

	pthread_mutex_t lock; /* of the next three; taken after `sending` */
	bool pong_waits;
	size_t pong_length;
	uint8_t pong[WEBSOCKET_CONTROL_MAX];

	/* Of the thread that receives. */
	uint8_t buffer[WEBSOCKET_PIECE_MAX];
	size_t begin, end; /* what was read and not yet used */
	struct websocket_frame frame;
	uint64_t frame_used;
	bool in_frame;
	enum websocket_opcode message; /* that frames continue; CONTINUATION: none */
	struct text text;	       /* as far as it has come */
	bool client_closed;
};

struct websocket *websocket_new(int fd, const atomic_bool *stopping)
{
	struct websocket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->fd = fd;
	socket->stopping = stopping;
	pthread_mutex_init(&socket->sending, NULL);
	pthread_mutex_init(&socket->lock, NULL);
	return socket;
}

void websocket_free(struct websocket *socket)
{
	if (!socket)
		return;
	pthread_mutex_destroy(&socket->sending);
	pthread_mutex_destroy(&socket->lock);
	text_done(&socket->text);
	free(socket);
}

/* Until a time: 0 for one of `events`, -ETIMEDOUT, or -EPIPE for none of them or the end. */
static int wait_for(const struct websocket *socket, short events, short ends, int64_t until)
{
	for (;;) {
		struct pollfd pollfd = { .fd = socket->fd, .events = events | ends };
		int64_t left = until - clock_monotonic_ms();

		if (atomic_load(socket->stopping))
			return -EPIPE;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pollfd, 1, left < LOOK_INTERVAL_MS ? (int)left : LOOK_INTERVAL_MS) > 0)
			return pollfd.revents & ends || !(pollfd.revents & events) ? -EPIPE : 0;
	}
}

/* Adds bytes behind those that are there. The buffer has room. */
static int fill(struct websocket *socket, int64_t until)
{
	ssize_t got;
	int r;

	if (socket->begin > 0) {
		memmove(socket->buffer, socket->buffer + socket->begin,
			socket->end - socket->begin);
		socket->end -= socket->begin;
		socket->begin = 0;
	}
	do {
		r = wait_for(socket, POLLIN, 0, until);
		if (r < 0)
			return r;
		got = recv(socket->fd, socket->buffer + socket->end,
			   sizeof(socket->buffer) - socket->end, MSG_DONTWAIT);
	} while (got < 0 && (errno == EAGAIN || errno == EINTR));
	if (got <= 0)
		return -EPIPE;
	socket->end += (size_t)got;
	return 0;
}

/* Frames of one message follow each other; control frames may come between them. */
static int check_order(struct websocket *socket)
{
	const struct websocket_frame *frame = &socket->frame;

	if (websocket_opcode_is_control(frame->opcode))
		return 0;
	if ((frame->opcode == WEBSOCKET_CONTINUATION) ==
	    (socket->message == WEBSOCKET_CONTINUATION))
		return -EPROTO;
	if (frame->opcode != WEBSOCKET_CONTINUATION)
		socket->message = frame->opcode;
	return 0;
}

static int begin_frame(struct websocket *socket, int64_t until)
{
	int head;

	for (;;) {
		head = websocket_frame_parse(socket->buffer + socket->begin,
					     socket->end - socket->begin, &socket->frame);
		if (head != 0)
			break;
		head = fill(socket, until);
		if (head < 0)
			return head;
	}
	if (head < 0)
		return head;
	socket->begin += (size_t)head;
	socket->frame_used = 0;
	socket->in_frame = true;
	return check_order(socket);
}

/* The next bytes of the frame that have come, unmasked. */
static struct websocket_message take_bytes(struct websocket *socket)
{
	struct websocket_message taken = { socket->frame.opcode, socket->buffer + socket->begin,
					   socket->end - socket->begin };

	if (taken.length > socket->frame.length - socket->frame_used)
		taken.length = (size_t)(socket->frame.length - socket->frame_used);
	websocket_frame_mask(&socket->frame, socket->frame_used, socket->buffer + socket->begin,
			     taken.length);
	socket->begin += taken.length;
	socket->frame_used += taken.length;
	socket->in_frame = socket->frame_used < socket->frame.length;
	return taken;
}

static int take_control(struct websocket *socket, int64_t until, struct websocket_message *ret)
{
	while (socket->end - socket->begin < socket->frame.length) {
		int r = fill(socket, until);

		if (r < 0)
			return r;
	}
	*ret = take_bytes(socket);
	socket->client_closed |= ret->opcode == WEBSOCKET_CLOSE;
	return 1;
}

static int take_text(struct websocket *socket, const struct websocket_message *piece, bool is_last,
		     struct websocket_message *ret)
{
	struct text *text = &socket->text;

	if (piece->length > WEBSOCKET_TEXT_MAX - text->length)
		return -EMSGSIZE;
	text_append(text, (const char *)piece->bytes, piece->length);
	if (text->incomplete)
		return -ENOMEM;
	if (!is_last)
		return 0;
	if (utf8_valid_length(text->bytes ? text->bytes : "", text->length) != text->length)
		return -EILSEQ;
	*ret = (struct websocket_message){ WEBSOCKET_TEXT, (uint8_t *)text->bytes, text->length };
	return 1;
}

/* Goes on in the frame: 1 with a message, 0 to go on, or the failure. */
static int take_data(struct websocket *socket, int64_t until, struct websocket_message *ret)
{
	enum websocket_opcode message = socket->message;
	struct websocket_message piece;
	bool is_last;
	int r;

	if (socket->begin == socket->end && socket->frame.length > 0) {
		r = fill(socket, until);
		if (r < 0)
			return r;
	}
	piece = take_bytes(socket);
	is_last = !socket->in_frame && socket->frame.final;
	if (is_last)
		socket->message = WEBSOCKET_CONTINUATION;
	if (message == WEBSOCKET_TEXT)
		return take_text(socket, &piece, is_last, ret);
	piece.opcode = WEBSOCKET_BINARY;
	*ret = piece;
	return piece.length > 0;
}

int websocket_receive(struct websocket *socket, int timeout_ms, struct websocket_message *ret)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int r = 0;

	if (socket->message != WEBSOCKET_TEXT)
		text_done(&socket->text); /* what the last call returned */
	while (r == 0) {
		if (!socket->in_frame) {
			r = begin_frame(socket, until);
			if (r < 0)
				return r;
		}
		r = websocket_opcode_is_control(socket->frame.opcode)
			    ? take_control(socket, until, ret)
			    : take_data(socket, until, ret);
	}
	return r < 0 ? r : 0;
}

enum websocket_code websocket_code_of(int error)
{
	switch (error) {
	case -EPROTO:
		return WEBSOCKET_PROTOCOL_ERROR;
	case -EMSGSIZE:
		return WEBSOCKET_TOO_BIG;
	case -EILSEQ:
		return WEBSOCKET_BAD_TEXT;
	case -EPIPE:
		return WEBSOCKET_GOING_AWAY;
	default:
		return WEBSOCKET_FAILED;
	}
}

/* Moves an array of buffers behind what was sent. */
static void advance(struct iovec *parts, size_t count, size_t sent)
{
	for (size_t i = 0; i < count; i++) {
		size_t used = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		parts[i].iov_base = (char *)parts[i].iov_base + used;
		parts[i].iov_len -= used;
		sent -= used;
	}
}

static int send_locked(struct websocket *socket, enum websocket_opcode opcode, const void *bytes,
		       size_t length)
{
	uint8_t head[WEBSOCKET_FRAME_HEAD_MAX];
	struct iovec parts[] = {
		{ head, websocket_frame_format(opcode, length, head) },
		{ (void *)(uintptr_t)bytes, length },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	int64_t until = clock_monotonic_ms() + WEBSOCKET_PATIENCE_S * 1000;

	while (parts[0].iov_len + parts[1].iov_len > 0) {
		ssize_t sent = sendmsg(socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			advance(parts, 2, (size_t)sent);
			until = clock_monotonic_ms() + WEBSOCKET_PATIENCE_S * 1000;
		} else if (errno != EAGAIN && errno != EINTR) {
			return -EPIPE;
		} else if (wait_for(socket, POLLOUT, POLLRDHUP, until) < 0) {
			return -EPIPE;
		}
	}
	return 0;
}

static bool take_pong(struct websocket *socket, uint8_t to[WEBSOCKET_CONTROL_MAX], size_t *ret)
{
	bool waits;

	pthread_mutex_lock(&socket->lock);
	waits = socket->pong_waits;
	socket->pong_waits = false;
	*ret = socket->pong_length;
	memcpy(to, socket->pong, socket->pong_length);
	pthread_mutex_unlock(&socket->lock);
	return waits;
}

static bool pong_waits(struct websocket *socket)
{
	bool waits;

	pthread_mutex_lock(&socket->lock);
	waits = socket->pong_waits;
	pthread_mutex_unlock(&socket->lock);
	return waits;
}

/* After each message: whoever could not send a pong meanwhile relies on it. */
static void send_pong(struct websocket *socket)
{
	uint8_t pong[WEBSOCKET_CONTROL_MAX];
	size_t length;

	while (pong_waits(socket) && pthread_mutex_trylock(&socket->sending) == 0) {
		if (take_pong(socket, pong, &length))
			(void)send_locked(socket, WEBSOCKET_PONG, pong, length);
		pthread_mutex_unlock(&socket->sending);
	}
}

int websocket_send(struct websocket *socket, enum websocket_opcode opcode, const void *bytes,
		   size_t length)
{
	int r;

	pthread_mutex_lock(&socket->sending);
	r = send_locked(socket, opcode, bytes, length);
	pthread_mutex_unlock(&socket->sending);
	send_pong(socket);
	return r;
}

void websocket_pong(struct websocket *socket, const void *bytes, size_t length)
{
	pthread_mutex_lock(&socket->lock);
	memcpy(socket->pong, bytes, length);
	socket->pong_length = length;
	socket->pong_waits = true;
	pthread_mutex_unlock(&socket->lock);
	send_pong(socket);
}

int websocket_try_send(struct websocket *socket, enum websocket_opcode opcode, const void *bytes,
		       size_t length)
{
	int r;

	if (pthread_mutex_trylock(&socket->sending))
		return -EAGAIN;
	r = send_locked(socket, opcode, bytes, length);
	pthread_mutex_unlock(&socket->sending);
	send_pong(socket);
	return r;
}

void websocket_close(struct websocket *socket, enum websocket_code code, const char *reason)
{
	uint8_t payload[WEBSOCKET_CONTROL_MAX] = { (uint8_t)(code >> 8), (uint8_t)code };
	size_t length = strlen(reason);
	struct websocket_message message;
	int64_t until = clock_monotonic_ms() + CLOSE_WAIT_MS;

	length = utf8_valid_length(reason,
				   length < sizeof(payload) - 2 ? length : sizeof(payload) - 2);
	memcpy(payload + 2, reason, length);
	if (websocket_send(socket, WEBSOCKET_CLOSE, payload, length + 2))
		return;
	/* What is unread when the socket closes would take what we sent with it. */
	while (!socket->client_closed && clock_monotonic_ms() < until)
		if (websocket_receive(socket, (int)(until - clock_monotonic_ms()), &message))
			break;
}
