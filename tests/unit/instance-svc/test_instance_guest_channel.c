/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions with a guest, over a socketpair whose other end this program plays: what a guest
 * may say, and that one which says anything else loses its own sessions only.
 */
#include "instance-svc/guest_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAME_MAX (AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX)
#define PATIENCE  20000

static const struct id instance = { "abcdefghijklmnopqrstuvwx" };

struct guest {
	int fd;	    /* our end */
	int theirs; /* given to the channel when it connects */
	atomic_int news;
	struct guest_channels *channels;
	uint8_t in[4 * FRAME_MAX];
	size_t size;
};

static int connect_to(void *user, const struct id *id)
{
	struct guest *guest = user;
	int fd = guest->theirs;

	assert_string_equal(id->s, instance.s);
	guest->theirs = -1;
	return fd < 0 ? -ECONNREFUSED : fd;
}

static void count_news(void *user)
{
	struct guest *guest = user;

	atomic_fetch_add(&guest->news, 1);
}

static struct guest *guest_new(void)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	guest->fd = ends[0];
	guest->theirs = ends[1];
	fcntl(guest->theirs, F_SETFL, O_NONBLOCK);
	guest->channels = guest_channels_new(connect_to, guest);
	return guest;
}

static void guest_free(struct guest *guest)
{
	guest_channels_free(guest->channels);
	close(guest->fd);
	if (guest->theirs >= 0)
		close(guest->theirs);
	free(guest);
}

static struct guest_session *session_open(struct guest *guest)
{
	char *args[] = { (char[]){ "true" }, NULL };
	const struct agent_start start = { .cwd = "", .args = args };
	struct guest_session *session = NULL;
	struct err err;
	uint8_t *payload;
	size_t length;

	assert_int_equal(agent_start_format(&start, &payload, &length), 0);
	assert_int_equal(guest_session_open(guest->channels, &instance, AGENT_START, payload,
					    length, count_news, guest, &session, &err),
			 0);
	return session;
}

/* What the host sends next. */
static void read_more(struct guest *guest)
{
	struct pollfd poll_one = { .fd = guest->fd, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&poll_one, 1, PATIENCE), 1);
	n = read(guest->fd, guest->in + guest->size, sizeof(guest->in) - guest->size);
	assert_true(n > 0);
	guest->size += (size_t)n;
}

static void drop(struct guest *guest, size_t size)
{
	guest->size -= size;
	memmove(guest->in, guest->in + size, guest->size);
}

/* Its kind; the payload is copied. */
static enum agent_kind next_frame(struct guest *guest, uint32_t *ret_session, uint8_t *payload,
				  size_t *ret_length)
{
	struct agent_frame frame;
	int64_t length;

	while ((length = agent_frame_parse(guest->in, guest->size, &frame)) == 0)
		read_more(guest);
	assert_true(length > 0);
	*ret_session = frame.session;
	*ret_length = frame.length;
	memcpy(payload, frame.payload, frame.length);
	drop(guest, (size_t)length);
	return frame.kind;
}

static void expect(struct guest *guest, enum agent_kind kind, uint32_t session)
{
	static uint8_t payload[AGENT_PAYLOAD_MAX];
	uint32_t found;
	size_t length;

	assert_int_equal(next_frame(guest, &found, payload, &length), kind);
	assert_int_equal(found, session);
}

static void say(struct guest *guest, enum agent_kind kind, uint32_t session, const void *payload,
		size_t length)
{
	static uint8_t frame[FRAME_MAX];

	agent_header_format(kind, session, length, frame);
	if (length > 0)
		memcpy(frame + AGENT_HEADER_BYTES, payload, length);
	assert_int_equal(send(guest->fd, frame, AGENT_HEADER_BYTES + length, MSG_NOSIGNAL),
			 AGENT_HEADER_BYTES + length);
}

static void say_number(struct guest *guest, enum agent_kind kind, uint32_t session, uint32_t number)
{
	uint8_t payload[4];

	agent_number_format(number, payload);
	say(guest, kind, session, payload, sizeof(payload));
}

/* Behind the preamble; something left over by an earlier life comes before the answer. */
static void welcome(struct guest *guest)
{
	uint8_t hello[AGENT_HELLO_BYTES];
	bool found = false;

	while (!found) {
		read_more(guest);
		drop(guest, agent_hello_find(AGENT_HELLO, NULL, guest->in, guest->size, &found));
	}
	while (guest->size < AGENT_HEADER_BYTES + AGENT_HELLO_BYTES)
		read_more(guest);
	memcpy(hello, guest->in + AGENT_HEADER_BYTES, sizeof(hello));
	drop(guest, AGENT_HEADER_BYTES + AGENT_HELLO_BYTES);
	say(guest, AGENT_OUTPUT, 99, "left over", 9);
	say(guest, AGENT_WELCOME, 0, hello, sizeof(hello));
}

static void wait_hangup(struct guest *guest)
{
	struct pollfd hangup = { .fd = guest->fd };

	assert_int_equal(poll(&hangup, 1, PATIENCE), 1);
}

static enum guest_news wait_news(struct guest_session *session, struct guest_report *report)
{
	enum guest_news news;

	for (int i = 0; i < PATIENCE; i++) {
		news = guest_session_next(session, report);
		if (news != GUEST_NEWS_NONE)
			return news;
		usleep(1000);
	}
	return GUEST_NEWS_NONE;
}

static void a_command_runs(void **state)
{
	struct guest *guest = guest_new();
	struct guest_session *session = session_open(guest);
	uint8_t bytes[64];
	struct guest_report report = { .bytes = bytes, .size = sizeof(bytes) };

	(void)state;
	welcome(guest);
	expect(guest, AGENT_START, 1);
	assert_int_equal(guest_session_put_input(session, (const uint8_t *)"in", 2), 0);
	guest_session_resize(session, 5, 6);
	guest_session_end_input(session);
	/* In whatever order the thread got them, the input's end is last. */
	for (uint32_t ended = 0, found, i = 0; !ended; i++) {
		uint8_t payload[AGENT_PAYLOAD_MAX];
		size_t length;

		assert_true(i < 4);
		ended = next_frame(guest, &found, payload, &length) == AGENT_INPUT_END;
	}
	say(guest, AGENT_OUTPUT, 1, "out", 3);
	assert_int_equal(wait_news(session, &report), GUEST_NEWS_OUTPUT);
	assert_memory_equal(bytes, "out", 3);
	say(guest, AGENT_ERRORS, 1, "err", 3);
	assert_int_equal(wait_news(session, &report), GUEST_NEWS_ERRORS);
	say(guest, AGENT_EXIT, 1, "\3\0\0\0why \xff", 9);
	assert_int_equal(wait_news(session, &report), GUEST_NEWS_EXIT);
	assert_int_equal(report.exit_code, 3);
	assert_string_equal(report.text, "why \xef\xbf\xbd");
	assert_true(guest->news > 0);
	guest_session_close(session);
	guest_free(guest);
}

static void input_stops_at_the_window(void **state)
{
	static uint8_t chunk[AGENT_PAYLOAD_MAX];
	struct guest *guest = guest_new();
	struct guest_session *session = session_open(guest);
	size_t length, sent = 0;
	uint32_t id;

	(void)state;
	welcome(guest);
	expect(guest, AGENT_START, 1);
	for (int i = 0; i < 8; i++) {
		for (int n = 0; n < PATIENCE && guest_session_input_room(session) < sizeof(chunk);
		     n++)
			usleep(1000);
		assert_int_equal(guest_session_put_input(session, chunk, sizeof(chunk)), 0);
	}
	while (sent < AGENT_INPUT_WINDOW) {
		assert_int_equal(next_frame(guest, &id, chunk, &length), AGENT_INPUT);
		sent += length;
	}
	assert_int_equal(sent, AGENT_INPUT_WINDOW);
	say_number(guest, AGENT_CREDIT, 1, 100);
	assert_int_equal(next_frame(guest, &id, chunk, &length), AGENT_INPUT);
	assert_int_equal(length, 100);
	guest_session_close(session);
	expect(guest, AGENT_KILL, 1);
	guest_free(guest);
}

static void output_earns_credit_as_it_is_taken(void **state)
{
	static uint8_t chunk[AGENT_PAYLOAD_MAX];
	struct guest *guest = guest_new();
	struct guest_session *session = session_open(guest);
	struct guest_report report = { .bytes = chunk, .size = sizeof(chunk) };
	size_t length, taken = 0;
	uint32_t id;

	(void)state;
	welcome(guest);
	expect(guest, AGENT_START, 1);
	for (size_t i = 0; i < AGENT_OUTPUT_WINDOW / sizeof(chunk); i++)
		say(guest, AGENT_OUTPUT, 1, chunk, sizeof(chunk));
	while (taken < AGENT_OUTPUT_WINDOW / 4) {
		assert_int_equal(wait_news(session, &report), GUEST_NEWS_OUTPUT);
		taken += report.length;
	}
	assert_int_equal(next_frame(guest, &id, chunk, &length), AGENT_CREDIT);
	assert_true(agent_number(chunk) >= AGENT_OUTPUT_WINDOW / 4);
	guest_session_close(session);
	guest_free(guest);
}

/* Each breaks the connection, and the session is told. */
static void a_guest_that_breaks_the_rules_loses_its_sessions(void **state)
{
	static uint8_t chunk[AGENT_PAYLOAD_MAX];
	static const uint8_t zeros[AGENT_HEADER_BYTES];

	(void)state;
	for (int rule = 0; rule < 7; rule++) {
		struct guest *guest = guest_new();
		struct guest_session *session = session_open(guest);
		uint8_t bytes[64];
		struct guest_report report = { .bytes = bytes, .size = sizeof(bytes) };
		enum guest_news news;

		welcome(guest);
		expect(guest, AGENT_START, 1);
		if (rule == 0)
			say(guest, AGENT_OUTPUT, 2, "x", 1); /* of no session */
		else if (rule == 1)
			say(guest, AGENT_START, 1, chunk, 100); /* not its to say */
		else if (rule == 2)
			say_number(guest, AGENT_CREDIT, 1, 1); /* more than the window */
		else if (rule == 3)
			say_number(guest, AGENT_EXIT, 1, 256);
		else if (rule == 4)
			say(guest, AGENT_WELCOME, 0, chunk, AGENT_HELLO_BYTES);
		else if (rule == 5)
			(void)!write(guest->fd, zeros, sizeof(zeros));
		else
			for (size_t i = 0; i <= AGENT_OUTPUT_WINDOW / sizeof(chunk); i++)
				say(guest, AGENT_OUTPUT, 1, chunk, sizeof(chunk));
		wait_hangup(guest); /* taking output before would earn it credit */
		while ((news = wait_news(session, &report)) == GUEST_NEWS_OUTPUT)
			;
		assert_int_equal(news, GUEST_NEWS_LOST);
		assert_string_equal(report.text, "the guest's agent sent what is not its protocol");
		guest_session_close(session);
		guest_free(guest);
	}
}

static void a_guest_that_is_gone_is_told_apart(void **state)
{
	struct guest *guest = guest_new();
	struct guest_session *session = session_open(guest);
	uint8_t bytes[64];
	struct guest_report report = { .bytes = bytes, .size = sizeof(bytes) };

	(void)state;
	welcome(guest);
	shutdown(guest->fd, SHUT_RDWR);
	assert_int_equal(wait_news(session, &report), GUEST_NEWS_LOST);
	assert_string_equal(report.text, "the guest's agent is gone: Connection reset by peer");
	guest_session_close(session);
	session = session_open(guest); /* nobody listens any more */
	assert_int_equal(wait_news(session, &report), GUEST_NEWS_LOST);
	assert_string_equal(report.text, "the guest's agent cannot be reached: Connection refused");
	guest_session_close(session);
	guest_free(guest);
}

static void sixty_four_sessions_are_the_most(void **state)
{
	struct guest *guest = guest_new();
	struct guest_session *sessions[AGENT_SESSIONS_MAX], *more = NULL;
	struct err err;

	(void)state;
	for (size_t i = 0; i < AGENT_SESSIONS_MAX; i++)
		sessions[i] = session_open(guest);
	assert_int_equal(guest_session_open(guest->channels, &instance, AGENT_STAT, malloc(8), 8,
					    count_news, guest, &more, &err),
			 -1);
	assert_int_equal(err.reason, ERR_OVERLOADED);
	guest_session_close(sessions[3]); /* it never began: its place is free at once */
	sessions[3] = session_open(guest);
	welcome(guest);
	for (uint32_t i = 1; i <= AGENT_SESSIONS_MAX; i++)
		expect(guest, AGENT_START, i);
	/* One whose caller has gone keeps its place until the guest has ended it. */
	guest_session_close(sessions[0]);
	expect(guest, AGENT_KILL, 1);
	assert_int_equal(guest_session_open(guest->channels, &instance, AGENT_STAT, malloc(8), 8,
					    count_news, guest, &more, &err),
			 -1);
	for (size_t i = 1; i < AGENT_SESSIONS_MAX; i++)
		guest_session_close(sessions[i]);
	guest_free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_runs),
		cmocka_unit_test(input_stops_at_the_window),
		cmocka_unit_test(output_earns_credit_as_it_is_taken),
		cmocka_unit_test(a_guest_that_breaks_the_rules_loses_its_sessions),
		cmocka_unit_test(a_guest_that_is_gone_is_told_apart),
		cmocka_unit_test(sixty_four_sessions_are_the_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
