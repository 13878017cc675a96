/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scoped.h"
#include "utf8.h"

#define IDLE_MS	    10000	  /* without a session, then the connection is closed */
#define GARBAGE_MAX (1024 * 1024) /* what an earlier connection may have left */
#define FRAME_MAX   (AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX)

/* Under the lock of all channels: everything but what is marked as the thread's. */
struct guest_session {
	struct guest_channels *all;
	struct guest_channel *channel; /* borrowed; NULL: it broke */
	struct guest_stream stream;
	void (*notify)(void *user);
	void *user;
	bool closed; /* by its owner: freed when the guest has ended it, or with the channel */
	char lost[AGENT_EXIT_TEXT_MAX + 1];
};

struct guest_channel {
	struct guest_channels *all;
	struct guest_channel *next;
	struct id instance;
	struct guest_session *sessions[AGENT_SESSIONS_MAX]; /* owned once closed */
	size_t session_count, first;
	uint32_t last_id;
	int wake;		/* eventfd: something is to be sent, or we end */
	bool open_for_business; /* sessions may still be added */

	/* The thread's. */
	int fd;
	bool welcomed;
	uint8_t token[AGENT_TOKEN_BYTES];
	int64_t quiet_since_ms; /* no session; or, before the welcome, since we asked */
	uint8_t in[2 * FRAME_MAX];
	size_t in_size, garbage;
	uint8_t out[4 * FRAME_MAX];
	size_t out_start, out_end;
};

struct guest_channels {
	int (*connect_to)(void *user, const struct id *instance);
	void *user;
	pthread_mutex_t lock;
	pthread_cond_t thread_ended;
	struct guest_channel *list; /* owned by their threads */
	unsigned threads;
	bool closing;
};

static void channels_unlock(struct guest_channels *channels)
{
	pthread_mutex_unlock(&channels->lock);
}
SCOPED_DEFINE(struct guest_channels *, channels_unlock);

static struct guest_channels *channels_locked(struct guest_channels *channels)
{
	pthread_mutex_lock(&channels->lock);
	return channels;
}

#define SCOPED_LOCK(channels)                                                                      \
	scoped(channels_unlock) struct guest_channels *locked_ = channels_locked(channels);        \
	(void)locked_

static void session_free(struct guest_session *session)
{
	guest_stream_done(&session->stream);
	free(session);
}

static void session_remove_locked(struct guest_channel *channel, size_t index)
{
	channel->sessions[index] = channel->sessions[--channel->session_count];
}

/* ---- The connection ---- */

static size_t out_room(const struct guest_channel *channel)
{
	return sizeof(channel->out) - channel->out_end;
}

/* 0, or -errno. */
static int channel_connect(struct guest_channel *channel)
{
	uint8_t *at = channel->out + AGENT_PREAMBLE;

	_Static_assert(sizeof(channel->out) > AGENT_PREAMBLE + FRAME_MAX, "there is room");
	if (getrandom(channel->token, sizeof(channel->token), 0) != sizeof(channel->token))
		return -EIO;
	channel->fd = channel->all->connect_to(channel->all->user, &channel->instance);
	if (channel->fd < 0)
		return channel->fd;
	memset(channel->out, 0, AGENT_PREAMBLE);
	agent_header_format(AGENT_HELLO, 0, AGENT_HELLO_BYTES, at);
	memcpy(at + AGENT_HEADER_BYTES, AGENT_MAGIC, AGENT_MAGIC_BYTES);
	memcpy(at + AGENT_HEADER_BYTES + AGENT_MAGIC_BYTES, channel->token, AGENT_TOKEN_BYTES);
	channel->out_end = AGENT_PREAMBLE + AGENT_HEADER_BYTES + AGENT_HELLO_BYTES;
	return 0;
}

static int send_out(struct guest_channel *channel)
{
	while (channel->out_start < channel->out_end) {
		ssize_t n = send(channel->fd, channel->out + channel->out_start,
				 channel->out_end - channel->out_start, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return errno == EPIPE ? -ECONNRESET : -errno; /* as reading would say */
		channel->out_start += (size_t)n;
	}
	channel->out_start = channel->out_end = 0;
	return 0;
}

/* Frames of all sessions in turn, as many as there is room for. Returns their bytes. */
static size_t collect(struct guest_channel *channel)
{
	size_t idle = 0, before = channel->out_end;
	SCOPED_LOCK(channel->all);

	while (channel->welcomed && idle < channel->session_count &&
	       out_room(channel) >= FRAME_MAX) {
		size_t index = channel->first++ % channel->session_count;
		struct guest_session *session = channel->sessions[index];
		size_t room = guest_stream_input_room(&session->stream), length;

		if (!session->stream.opened)
			session->stream.id = ++channel->last_id; /* in the order of their frames */
		length = guest_stream_send(&session->stream, channel->out + channel->out_end);
		channel->out_end += length;
		idle = length > 0 ? 0 : idle + 1;
		if (guest_stream_input_room(&session->stream) > room && !session->closed)
			session->notify(session->user);
	}
	return channel->out_end - before;
}

/* ---- Frames of the guest ---- */

static int take_frame_locked(struct guest_channel *channel, const struct agent_frame *frame)
{
	for (size_t i = 0; i < channel->session_count; i++) {
		struct guest_session *session = channel->sessions[i];
		int r;

		if (session->stream.id != frame->session)
			continue;
		r = guest_stream_receive(&session->stream, frame);
		if (r == 0 && !session->closed)
			session->notify(session->user);
		if (r == 0 && session->stream.exited) {
			session->channel = NULL;
			session_remove_locked(channel, i);
			if (session->closed)
				session_free(session);
		}
		return r;
	}
	return -EPROTO; /* a session ends with EXIT: there is nothing to say of it after that */
}

/* Drops what comes before our welcome. Returns the bytes taken, or -errno. */
static int64_t find_welcome(struct guest_channel *channel)
{
	bool found;
	size_t skip = agent_hello_find(AGENT_WELCOME, channel->token, channel->in, channel->in_size,
				       &found);

	channel->garbage += skip;
	if (channel->garbage > GARBAGE_MAX)
		return -EPROTO;
	if (!found)
		return (int64_t)skip;
	channel->welcomed = true;
	channel->quiet_since_ms = clock_monotonic_ms();
	return (int64_t)skip + AGENT_HEADER_BYTES + AGENT_HELLO_BYTES;
}

static int64_t take_frames(struct guest_channel *channel)
{
	size_t at = 0;
	SCOPED_LOCK(channel->all);

	for (;;) {
		struct agent_frame frame;
		int64_t length = agent_frame_parse(channel->in + at, channel->in_size - at, &frame);
		int r = length > 0 ? take_frame_locked(channel, &frame) : (int)length;

		if (r < 0)
			return r;
		if (length == 0)
			return (int64_t)at;
		at += (size_t)length;
	}
}

/* 0, or -errno: the connection cannot be used any more. */
static int receive_in(struct guest_channel *channel)
{
	ssize_t n = read(channel->fd, channel->in + channel->in_size,
			 sizeof(channel->in) - channel->in_size);
	int64_t taken;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	channel->in_size += (size_t)n;
	do {
		taken = channel->welcomed ? take_frames(channel) : find_welcome(channel);
		if (taken < 0)
			return (int)taken;
		channel->in_size -= (size_t)taken;
		memmove(channel->in, channel->in + taken, channel->in_size);
	} while (taken > 0 && channel->in_size > 0);
	return 0;
}

/* ---- The thread ---- */

/* Others end by themselves soon; if the guest does not let them, the connection ends. */
static bool has_owner_locked(const struct guest_channel *channel)
{
	for (size_t i = 0; i < channel->session_count; i++)
		if (!channel->sessions[i]->closed)
			return true;
	return false;
}

/* Milliseconds to wait, or -errno when it is time to end. */
static int time_left(struct guest_channel *channel)
{
	int64_t now = clock_monotonic_ms(), left;
	SCOPED_LOCK(channel->all);

	if (channel->all->closing)
		return -ECANCELED;
	if (channel->welcomed && has_owner_locked(channel))
		channel->quiet_since_ms = now;
	left = channel->quiet_since_ms + (channel->welcomed ? IDLE_MS : GUEST_ANSWER_MS) - now;
	if (left > 0)
		return (int)left;
	channel->open_for_business = false;
	return channel->welcomed ? -ECANCELED : -ETIMEDOUT;
}

/* Sends what there is, until there is nothing more or the guest takes nothing more. */
static int exchange(struct guest_channel *channel)
{
	size_t collected;
	int r;

	do {
		collected = collect(channel);
		r = send_out(channel);
	} while (r == 0 && collected > 0 && channel->out_end == 0);
	return r;
}

static int channel_turn(struct guest_channel *channel)
{
	struct pollfd polls[] = {
		{ .fd = channel->wake, .events = POLLIN },
		{ .fd = channel->fd, .events = POLLIN },
	};
	int timeout = time_left(channel), r;
	eventfd_t count;

	if (timeout < 0)
		return timeout;
	if (channel->out_start < channel->out_end)
		polls[1].events |= POLLOUT;
	if (poll(polls, 2, timeout) < 0 && errno != EINTR)
		return -errno;
	if (polls[0].revents)
		(void)eventfd_read(channel->wake, &count);
	r = polls[1].revents & ~POLLOUT ? receive_in(channel) : 0;
	return r < 0 ? r : exchange(channel);
}

static void describe_loss(const struct guest_channel *channel, int error, char *text, size_t size)
{
	if (error == -ETIMEDOUT)
		snprintf(text, size,
			 "the guest's agent did not answer for %d s: the guest may still be "
			 "starting",
			 GUEST_ANSWER_MS / 1000);
	else if (error == -EPROTO)
		snprintf(text, size, "the guest's agent sent what is not its protocol");
	else if (error == -ECANCELED)
		snprintf(text, size, "the service is stopping");
	else
		snprintf(text, size, "the guest's agent %s: %s",
			 channel->welcomed ? "is gone" : "cannot be reached", strerror(-error));
}

static void channel_end_locked(struct guest_channel *channel, int error)
{
	struct guest_channel **at = &channel->all->list;

	while (*at != channel)
		at = &(*at)->next;
	*at = channel->next;
	for (size_t i = 0; i < channel->session_count; i++) {
		struct guest_session *session = channel->sessions[i];

		session->channel = NULL;
		if (session->closed) {
			session_free(session);
			continue;
		}
		describe_loss(channel, error, session->lost, sizeof(session->lost));
		session->notify(session->user);
	}
	channel->all->threads--;
	pthread_cond_broadcast(&channel->all->thread_ended);
}

static void *channel_run(void *argument)
{
	struct guest_channel *channel = argument;
	int r;

	channel->quiet_since_ms = clock_monotonic_ms();
	r = channel_connect(channel);
	while (r == 0)
		r = channel_turn(channel);
	if (r == -EPROTO)
		log_warning("instance %s: the guest's agent sent what is not its protocol",
			    channel->instance.s);
	if (channel->fd >= 0)
		close(channel->fd);
	{
		SCOPED_LOCK(channel->all);

		channel_end_locked(channel, r);
		close(channel->wake);
	}
	free(channel);
	return NULL;
}

/* ---- All of them ---- */

struct guest_channels *guest_channels_new(int (*connect_to)(void *user, const struct id *instance),
					  void *user)
{
	struct guest_channels *channels = calloc(1, sizeof(*channels));

	if (!channels)
		return NULL;
	channels->connect_to = connect_to;
	channels->user = user;
	pthread_mutex_init(&channels->lock, NULL);
	pthread_cond_init(&channels->thread_ended, NULL);
	return channels;
}

void guest_channels_free(struct guest_channels *channels)
{
	if (!channels)
		return;
	pthread_mutex_lock(&channels->lock);
	channels->closing = true;
	for (struct guest_channel *channel = channels->list; channel; channel = channel->next)
		(void)eventfd_write(channel->wake, 1);
	while (channels->threads > 0)
		pthread_cond_wait(&channels->thread_ended, &channels->lock);
	pthread_mutex_unlock(&channels->lock);
	pthread_mutex_destroy(&channels->lock);
	pthread_cond_destroy(&channels->thread_ended);
	free(channels);
}

static struct guest_channel *channel_start_locked(struct guest_channels *channels,
						  const struct id *instance)
{
	struct guest_channel *channel = calloc(1, sizeof(*channel));
	pthread_t thread;

	if (!channel)
		return NULL;
	channel->all = channels;
	channel->instance = *instance;
	channel->open_for_business = true;
	channel->fd = -1;
	channel->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (channel->wake < 0 || pthread_create(&thread, NULL, channel_run, channel) != 0) {
		if (channel->wake >= 0)
			close(channel->wake);
		free(channel);
		return NULL;
	}
	pthread_detach(thread);
	channel->next = channels->list;
	channels->list = channel;
	channels->threads++;
	return channel;
}

static struct guest_channel *channel_find_locked(struct guest_channels *channels,
						 const struct id *instance)
{
	for (struct guest_channel *channel = channels->list; channel; channel = channel->next)
		if (channel->open_for_business && strcmp(channel->instance.s, instance->s) == 0)
			return channel;
	return channel_start_locked(channels, instance);
}

/* ---- Sessions ---- */

static int session_add(struct guest_channels *channels, const struct id *instance,
		       struct guest_session *session, struct err *err)
{
	struct guest_channel *channel;
	SCOPED_LOCK(channels);

	channel = channel_find_locked(channels, instance);
	if (!channel)
		return err_sys(err, ENOMEM, "cannot talk to the guest");
	if (channel->session_count == AGENT_SESSIONS_MAX)
		return err_set(err, ERR_OVERLOADED,
			       "the instance runs %d commands for callers: that is the most",
			       AGENT_SESSIONS_MAX);
	session->channel = channel;
	channel->sessions[channel->session_count++] = session;
	(void)eventfd_write(channel->wake, 1);
	return 0;
}

int guest_session_open(struct guest_channels *channels, const struct id *instance,
		       enum agent_kind opening, uint8_t *take_request, size_t length,
		       void (*notify)(void *user), void *user, struct guest_session **ret,
		       struct err *err)
{
	struct guest_session *session = calloc(1, sizeof(*session));

	if (!session) {
		free(take_request);
		return err_sys(err, ENOMEM, "cannot talk to the guest");
	}
	session->all = channels;
	session->notify = notify;
	session->user = user;
	guest_stream_init(&session->stream, opening, take_request, length);
	if (session_add(channels, instance, session, err) < 0) {
		session_free(session);
		return -1;
	}
	*ret = session;
	return 0;
}

void guest_session_close(struct guest_session *session)
{
	if (!session)
		return;

	SCOPED_LOCK(session->all);
	if (!session->channel) {
		session_free(session);
		return;
	}
	session->closed = true;
	session->stream.kill = true;
	if (session->stream.opened) {
		(void)eventfd_write(session->channel->wake, 1);
		return;
	}
	for (size_t i = 0; i < session->channel->session_count; i++) {
		if (session->channel->sessions[i] == session)
			session_remove_locked(session->channel, i);
	}
	session_free(session);
}

static void wake_locked(const struct guest_session *session)
{
	if (session->channel)
		(void)eventfd_write(session->channel->wake, 1);
}

size_t guest_session_input_room(struct guest_session *session)
{
	SCOPED_LOCK(session->all);

	return guest_stream_input_room(&session->stream);
}

int guest_session_put_input(struct guest_session *session, const uint8_t *bytes, size_t length)
{
	SCOPED_LOCK(session->all);

	wake_locked(session);
	return guest_stream_put_input(&session->stream, bytes, length);
}

void guest_session_end_input(struct guest_session *session)
{
	SCOPED_LOCK(session->all);

	session->stream.input_ends = true;
	wake_locked(session);
}

void guest_session_resize(struct guest_session *session, uint32_t rows, uint32_t columns)
{
	SCOPED_LOCK(session->all);

	session->stream.resize = true;
	session->stream.rows = rows;
	session->stream.columns = columns;
	wake_locked(session);
}

enum guest_news guest_session_next(struct guest_session *session, struct guest_report *report)
{
	struct guest_stream *stream = &session->stream;
	SCOPED_LOCK(session->all);

	for (int flow = 0; flow < GUEST_FLOWS; flow++) {
		report->length = guest_stream_take(stream, (enum guest_flow)flow, report->bytes,
						   report->size);
		if (report->length > 0) {
			wake_locked(session); /* there may be credit to give */
			return flow == GUEST_OUTPUT ? GUEST_NEWS_OUTPUT : GUEST_NEWS_ERRORS;
		}
	}
	if (guest_stream_is_over(stream)) {
		report->exit_code = stream->exit_code;
		utf8_copy(report->text, sizeof(report->text), stream->exit_text);
		return GUEST_NEWS_EXIT;
	}
	if (session->lost[0]) {
		snprintf(report->text, sizeof(report->text), "%s", session->lost);
		return GUEST_NEWS_LOST;
	}
	return GUEST_NEWS_NONE;
}
