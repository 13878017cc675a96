/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"

#include "agent_session.h"
#include "config.h"
#include "port.h"

/*
 * How often we sleep before the port is believed that nobody is there. The driver hears of a
 * connection from a worker, and of its bytes in an interrupt: in a guest that had no time for a
 * while, the end that is read behind a HELLO is that of the connection before.
 */
#define LOST_NAPS 10
#define NAP_MS	  20

struct agent {
	const struct guest_config *config;
	int port, signals;
	int wake; /* epoll: tells when somebody connects; a closed port is ready all the time */
	bool connected; /* as far as we know */
	unsigned lost;	/* naps since the port said that nobody is there; 0: it does not say so */
	bool welcomed;	/* a HELLO came: what follows are frames */
	uint32_t last_id;
	uint8_t input[2 * (AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX)];
	size_t input_size;
	struct agent_queue queue;
	struct agent_session sessions[AGENT_SESSIONS_MAX];
	size_t first; /* whose turn it is first */
	bool again;   /* the queue has room again: what waited for that has its turn at once */
};

/* ---- Connections ---- */

/* What is not sent yet was for somebody who is gone. */
static void connection_end(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (agent->sessions[i].used)
			agent_session_drop(&agent->sessions[i], true);
	agent->queue.start = agent->queue.end = 0;
	agent->welcomed = false;
	agent->last_id = 0;
}

/* What the host says next is for nobody: it shall notice, and begin anew. */
static void connection_break(struct agent *agent)
{
	connection_end(agent);
	memset(agent->queue.bytes, 0, AGENT_HEADER_BYTES);
	agent->queue.end = AGENT_HEADER_BYTES;
}

static void welcome(struct agent *agent, const uint8_t *payload)
{
	connection_end(agent);
	agent->welcomed = true;
	agent_queue_put(&agent->queue, AGENT_WELCOME, 0, payload, AGENT_HELLO_BYTES);
}

/* ---- Frames of the host ---- */

static struct agent_session *session_find(struct agent *agent, uint32_t id)
{
	for (size_t i = 0; i < AGENT_SESSIONS_MAX; i++) {
		struct agent_session *session = &agent->sessions[i];

		if (session->used && !session->abandoned && session->id == id)
			return session;
	}
	return NULL;
}

static void refuse(struct agent *agent, uint32_t id, const char *why)
{
	uint8_t payload[4 + AGENT_EXIT_TEXT_MAX];
	size_t length = strlen(why);

	agent_number_format(126, payload);
	memcpy(payload + 4, why, length);
	agent_queue_put(&agent->queue, AGENT_EXIT, id, payload, 4 + length);
}

static int take_start(struct agent *agent, const struct agent_frame *frame,
		      struct agent_session *session)
{
	struct agent_start start;
	int r = agent_start_parse(frame->payload, frame->length, &start);

	if (r < 0)
		return r;
	if (session)
		agent_session_start(session, frame->session, agent->config, &start);
	agent_start_done(&start);
	return 0;
}

static int take_stat(const struct agent_frame *frame, struct agent_session *session)
{
	struct agent_stat_request request;
	int r = agent_stat_request_parse(frame->payload, frame->length, &request);

	if (r == 0 && session)
		agent_session_stat(session, frame->session, &request);
	return r;
}

static int session_open(struct agent *agent, const struct agent_frame *frame)
{
	struct agent_session *session = NULL;
	int r;

	if (frame->session <= agent->last_id)
		return -EPROTO;
	agent->last_id = frame->session;
	for (size_t i = 0; i < AGENT_SESSIONS_MAX && !session; i++)
		if (!agent->sessions[i].used)
			session = &agent->sessions[i];
	r = frame->kind == AGENT_START ? take_start(agent, frame, session)
				       : take_stat(frame, session);
	if (r == 0 && !session)
		refuse(agent, frame->session, "the guest runs as many commands as it can");
	return r;
}

static int take_credit(struct agent_session *session, const struct agent_frame *frame)
{
	uint32_t more = agent_number(frame->payload);

	if (more > AGENT_OUTPUT_WINDOW - session->credit)
		return -EPROTO;
	session->credit += more;
	return 0;
}

static int take_session_frame(struct agent_session *session, const struct agent_frame *frame)
{
	switch (frame->kind) {
	case AGENT_INPUT:
		return agent_session_input(session, frame->payload, frame->length);
	case AGENT_INPUT_END:
		session->input_ends = true;
		return 0;
	case AGENT_RESIZE:
		agent_session_resize(session, agent_number(frame->payload),
				     agent_number(frame->payload + 4));
		return 0;
	case AGENT_KILL:
		agent_session_drop(session, false);
		return 0;
	case AGENT_CREDIT:
		return take_credit(session, frame);
	default:
		return -EPROTO; /* ours to say */
	}
}

static int take_frame(struct agent *agent, const struct agent_frame *frame)
{
	struct agent_session *session;

	if (frame->kind == AGENT_HELLO) {
		if (memcmp(frame->payload, AGENT_MAGIC, AGENT_MAGIC_BYTES) != 0)
			return -EPROTO;
		welcome(agent, frame->payload);
		return 0;
	}
	if (frame->kind == AGENT_START || frame->kind == AGENT_STAT)
		return session_open(agent, frame);
	session = session_find(agent, frame->session);
	if (!session) /* it has ended meanwhile */
		return frame->session != 0 && frame->session <= agent->last_id ? 0 : -EPROTO;
	return take_session_frame(session, frame);
}

/* Takes one frame, or what cannot become one. Returns the bytes taken, 0: more must come. */
static size_t take_bytes(struct agent *agent, const uint8_t *bytes, size_t size)
{
	struct agent_frame frame;
	int64_t length;
	bool found;

	if (!agent->welcomed) {
		size_t skip = agent_hello_find(AGENT_HELLO, NULL, bytes, size, &found);

		if (skip > 0 || !found)
			return skip;
	}
	length = agent_frame_parse(bytes, size, &frame);
	if (length > 0 && take_frame(agent, &frame) < 0)
		length = -EPROTO;
	if (length >= 0)
		return (size_t)length;
	connection_break(agent);
	return 1;
}

static void take_input(struct agent *agent)
{
	size_t at = 0, taken = 1;

	/* A frame may have to be answered at once. */
	while (taken > 0 && agent_queue_has_room(&agent->queue)) {
		taken = take_bytes(agent, agent->input + at, agent->input_size - at);
		at += taken;
	}
	memmove(agent->input, agent->input + at, agent->input_size - at);
	agent->input_size -= at;
}

/* ---- The port ---- */

static void read_port(struct agent *agent)
{
	while (agent->input_size < sizeof(agent->input)) {
		ssize_t n = read(agent->port, agent->input + agent->input_size,
				 sizeof(agent->input) - agent->input_size);

		if (n == 0) {
			agent->connected = false;
			agent->lost += agent->lost == 0;
			return;
		}
		if (n > 0 || errno == EAGAIN)
			agent->lost = 0;
		if (n < 0)
			return; /* nothing there, or a signal */
		agent->connected = true;
		agent->input_size += (size_t)n;
	}
}

/* What it left unread is for nobody. */
static void end_lost_connection(struct agent *agent)
{
	agent->lost = 0;
	agent->input_size = 0;
	connection_end(agent);
}

static void write_port(struct agent *agent)
{
	struct agent_queue *queue = &agent->queue;

	while (queue->start < queue->end) {
		ssize_t n =
			write(agent->port, queue->bytes + queue->start, queue->end - queue->start);

		if (n <= 0)
			break;
		queue->start += (size_t)n;
	}
	if (queue->start > 0 && queue->end > sizeof(queue->bytes) / 2) {
		memmove(queue->bytes, queue->bytes + queue->start, queue->end - queue->start);
		queue->end -= queue->start;
		queue->start = 0;
	}
	if (queue->start == queue->end)
		queue->start = queue->end = 0;
}

static int wake_open(int port)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, port, &event) == 0 ? fd : -1;
}

/* ---- The loop ---- */

enum {
	POLL_SIGNALS,
	POLL_PORT,
	POLL_FIRST_SESSION
};
#define POLLS_MAX (POLL_FIRST_SESSION + AGENT_SESSIONS_MAX * AGENT_SESSION_POLLS)

static int fill_polls(const struct agent *agent, struct pollfd *polls)
{
	bool full = agent->input_size == sizeof(agent->input);
	bool queued = agent->queue.start < agent->queue.end;
	int64_t next = agent->lost > 0 ? clock_monotonic_ms() + NAP_MS : INT64_MAX, left;

	polls[POLL_SIGNALS] = (struct pollfd){ .fd = agent->signals, .events = POLLIN };
	polls[POLL_PORT] = (struct pollfd){
		.fd = agent->connected ? agent->port : agent->wake,
		.events = (short)((full ? 0 : POLLIN) | (queued ? POLLOUT : 0)),
	};
	for (size_t i = 0; i < AGENT_SESSIONS_MAX; i++) {
		int64_t moment =
			agent_session_poll(&agent->sessions[i], &agent->queue,
					   polls + POLL_FIRST_SESSION + i * AGENT_SESSION_POLLS);

		next = moment < next ? moment : next;
	}
	if (agent->again)
		return 0;
	if (next == INT64_MAX)
		return -1;
	left = next - clock_monotonic_ms();
	return left < 0 ? 0 : (int)(left < 60000 ? left : 60000);
}

static void take_signals(struct agent *agent)
{
	struct signalfd_siginfo info;

	while (read(agent->signals, &info, sizeof(info)) > 0)
		;
	for (size_t i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (agent->sessions[i].used && agent->sessions[i].command.pid > 0)
			agent_session_reap(&agent->sessions[i]);
}

static void serve_sessions(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_SESSIONS_MAX; i++) {
		struct agent_session *session =
			&agent->sessions[(agent->first + i) % AGENT_SESSIONS_MAX];

		if (session->used)
			agent_session_serve(session, &agent->queue);
	}
	agent->first = (agent->first + 1) % AGENT_SESSIONS_MAX;
}

static void turn(struct agent *agent)
{
	struct pollfd polls[POLLS_MAX];
	struct epoll_event event;
	int timeout;

	timeout = fill_polls(agent, polls);
	if (poll(polls, POLLS_MAX, timeout) == 0 && timeout > 0 && agent->lost > 0)
		agent->lost++;
	if (polls[POLL_SIGNALS].revents)
		take_signals(agent);
	if (!agent->connected && epoll_wait(agent->wake, &event, 1, 0) > 0)
		agent->connected = true;
	if (agent->connected)
		read_port(agent);
	if (agent->lost > LOST_NAPS)
		end_lost_connection(agent);
	if (agent->lost == 0)
		take_input(agent);
	serve_sessions(agent);
	agent->again = !agent_queue_has_room(&agent->queue);
	if (agent->connected)
		write_port(agent);
	agent->again = agent->again && agent_queue_has_room(&agent->queue);
}

void agent_run(int port, const struct guest_config *config)
{
	static struct agent agent; /* holds large buffers */
	sigset_t child;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	agent.config = config;
	agent.port = port;
	agent.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	agent.wake = wake_open(port);
	if (agent.signals < 0 || agent.wake < 0)
		_exit(1);
	connection_break(&agent); /* that of an agent before us */
	for (;;)
		turn(&agent);
}

pid_t agent_start(const struct guest_config *config, pid_t command)
{
	int port = port_open(GUEST_AGENT_PORT);
	int process = (int)syscall(SYS_pidfd_open, command, 0);
	pid_t agent = port >= 0 && process >= 0 ? fork() : -1;

	if (agent == 0) {
		/* A command that has ended already takes the machine with it. */
		if (setns(process, CLONE_NEWNS) < 0 || chdir("/") < 0)
			_exit(1);
		setsid();
		agent_run(port, config);
	}
	if (port >= 0)
		close(port);
	if (process >= 0)
		close(process);
	return agent > 0 ? agent : 0;
}
