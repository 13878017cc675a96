/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_session.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/scoped.h"
#include "config.h"

#define STAT_TIMEOUT_S	  10   /* a file system may not answer */
#define TERMINAL_DRAIN_MS 1000 /* until the kernel has hung up a terminal */
#define PIPE_BYTES	  (256 * 1024)
#define CREDIT_STEP	  (AGENT_INPUT_WINDOW / 4) /* given back at once */

/* ---- The queue ---- */

static size_t queue_room(const struct agent_queue *queue)
{
	return sizeof(queue->bytes) - queue->end;
}

bool agent_queue_has_room(const struct agent_queue *queue)
{
	return queue_room(queue) >= AGENT_HEADER_BYTES + 4 + AGENT_EXIT_TEXT_MAX;
}

void agent_queue_put(struct agent_queue *queue, enum agent_kind kind, uint32_t session,
		     const void *payload, size_t length)
{
	agent_header_format(kind, session, length, queue->bytes + queue->end);
	if (length > 0)
		memcpy(queue->bytes + queue->end + AGENT_HEADER_BYTES, payload, length);
	queue->end += AGENT_HEADER_BYTES + length;
}

/* ---- Beginning ---- */

static int pipe_make(int *ours, int *theirs, bool they_read)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ours = ends[they_read ? 1 : 0];
	*theirs = ends[they_read ? 0 : 1];
	(void)fcntl(*ours, F_SETPIPE_SZ, PIPE_BYTES); /* fewer switches; less is fine too */
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int terminal_make(struct agent_session *session, int stdio[3])
{
	int unlocked = 0;

	session->output = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (session->output < 0 || ioctl(session->output, TIOCSPTLCK, &unlocked) < 0)
		return -errno;
	session->input = fcntl(session->output, F_DUPFD_CLOEXEC, 0);
	stdio[0] = ioctl(session->output, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (session->input < 0 || stdio[0] < 0)
		return -errno;
	stdio[1] = stdio[2] = stdio[0];
	return 0;
}

static int stdio_make(struct agent_session *session, int stdio[3])
{
	int r;

	if (session->has_terminal)
		return terminal_make(session, stdio);
	r = pipe_make(&session->input, &stdio[0], true);
	if (r == 0)
		r = pipe_make(&session->output, &stdio[1], false);
	return r < 0 ? r : pipe_make(&session->errors, &stdio[2], false);
}

static void stdio_close(const struct agent_session *session, const int stdio[3])
{
	for (int i = 0; i < (session->has_terminal ? 1 : 3); i++)
		if (stdio[i] >= 0)
			close(stdio[i]);
}

static void begin(struct agent_session *session, uint32_t id)
{
	*session = (struct agent_session){
		.used = true,
		.id = id,
		.command = { .events = -1 },
		.input = -1,
		.output = -1,
		.errors = -1,
		.credit = AGENT_OUTPUT_WINDOW,
	};
}

/* There is no process: it ends at its next turn. */
static void fail(struct agent_session *session, int code, const char *why)
{
	session->exited = true;
	session->code = code;
	snprintf(session->why, sizeof(session->why), "%s", why);
}

void agent_session_start(struct agent_session *session, uint32_t id,
			 const struct guest_config *config, const struct agent_start *start)
{
	struct command_spec spec = {
		.config = config,
		.args = start->args,
		.env = start->env,
		.cwd = start->cwd,
		.stdio = { -1, -1, -1 },
		.has_terminal = start->tty,
	};
	struct err err;
	int r;

	begin(session, id);
	session->has_terminal = start->tty;
	if (start->timeout_s > 0)
		session->expires_ms = clock_monotonic_ms() + start->timeout_s * INT64_C(1000);
	r = stdio_make(session, spec.stdio);
	if (r < 0)
		err_sys(&err, r, "cannot make the command's %s", start->tty ? "terminal" : "pipes");
	else
		r = command_start(&session->command, &spec, &err);
	stdio_close(session, spec.stdio);
	if (r < 0)
		fail(session, 126, err.message);
	else if (start->tty)
		agent_session_resize(session, start->rows, start->columns);
}

static void look(const struct agent_stat_request *request, struct agent_stat_reply *reply)
{
	struct stat st;
	ssize_t length;
	int r = request->follow ? stat(request->path, &st) : lstat(request->path, &st);

	*reply = (struct agent_stat_reply){ .error = r < 0 ? errno : 0 };
	if (r < 0)
		return;
	reply->mode = st.st_mode;
	reply->size = st.st_size;
	if (!S_ISLNK(st.st_mode))
		return;
	length = readlink(request->path, reply->link, sizeof(reply->link) - 1);
	if (length < 0)
		reply->error = errno;
}

/* In a process of its own: a file system that hangs stops nothing else. */
static _Noreturn void stat_run(const struct agent_stat_request *request, int output)
{
	uint8_t bytes[AGENT_STAT_FIXED + AGENT_LINK_MAX];
	struct agent_stat_reply reply;
	size_t length;

	setsid();
	look(request, &reply);
	length = agent_stat_reply_format(&reply, bytes);
	_exit(write(output, bytes, length) == (ssize_t)length ? 0 : 1);
}

void agent_session_stat(struct agent_session *session, uint32_t id,
			const struct agent_stat_request *request)
{
	int theirs = -1;

	begin(session, id);
	session->expires_ms = clock_monotonic_ms() + STAT_TIMEOUT_S * INT64_C(1000);
	if (pipe_make(&session->output, &theirs, false) < 0 || (session->command.pid = fork()) < 0)
		fail(session, 126, "cannot start a process to look at the path");
	else if (session->command.pid == 0)
		stat_run(request, theirs);
	if (theirs >= 0)
		close(theirs);
}

/* ---- From the host ---- */

int agent_session_input(struct agent_session *session, const uint8_t *bytes, size_t length)
{
	size_t pending = session->pending_end - session->pending_start;

	if (session->input_ends || pending + session->taken + length > AGENT_INPUT_WINDOW)
		return -EPROTO;
	if (session->input < 0) {
		session->taken += length;
		return 0;
	}
	if (!session->pending && !(session->pending = malloc(AGENT_INPUT_WINDOW)))
		return -ENOMEM;
	if (session->pending_end + length > AGENT_INPUT_WINDOW) {
		memmove(session->pending, session->pending + session->pending_start, pending);
		session->pending_start = 0;
		session->pending_end = pending;
	}
	memcpy(session->pending + session->pending_end, bytes, length);
	session->pending_end += length;
	return 0;
}

void agent_session_resize(struct agent_session *session, uint32_t rows, uint32_t columns)
{
	const struct winsize size = {
		.ws_row = (unsigned short)(rows > UINT16_MAX ? UINT16_MAX : rows),
		.ws_col = (unsigned short)(columns > UINT16_MAX ? UINT16_MAX : columns),
	};

	if (session->has_terminal && session->input >= 0)
		(void)ioctl(session->input, TIOCSWINSZ, &size);
}

/* ---- Ending ---- */

/*
 * To every process of the session but a dead leader. True when there was any. The leader is
 * not reaped before the session is closed, so the number cannot be another's.
 */
static bool session_signal(const struct agent_session *session, int signal)
{
	pid_t leader = session->command.pid;
	scoped_dir DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool any = false;

	if (leader <= 0)
		return false;
	if (!dir) /* the command has unmounted it */
		return kill(-leader, signal) == 0;
	while ((entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;

		if (pid <= 0 || getsid(pid) != leader || (pid == leader && session->exited))
			continue;
		any = true;
		kill(pid, signal);
	}
	return any;
}

void agent_session_kill(struct agent_session *session, const char *why)
{
	if (session->kill_ms != 0)
		return;
	session->kill_ms = clock_monotonic_ms() + AGENT_KILL_MS;
	snprintf(session->why, sizeof(session->why), "%s", why);
	session_signal(session, SIGHUP);
	session_signal(session, SIGCONT); /* a stopped one shall learn of it */
}

void agent_session_drop(struct agent_session *session, bool abandoned)
{
	session->unwanted = true;
	session->abandoned = abandoned;
	agent_session_kill(session, "the caller has gone");
}

void agent_session_reap(struct agent_session *session)
{
	siginfo_t info = { 0 };
	int left = 0;

	if (session->exited ||
	    waitid(P_PID, (id_t)session->command.pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return;
	session->exited = true;
	session->drain_until_ms = clock_monotonic_ms() + TERMINAL_DRAIN_MS;
	if (session->has_terminal) {
		session->output_left = SIZE_MAX;
		return;
	}
	/* What others, who still hold the pipes, write from now on is not the command's. */
	if (session->output >= 0 && ioctl(session->output, FIONREAD, &left) == 0)
		session->output_left = (size_t)left;
	if (session->errors >= 0 && ioctl(session->errors, FIONREAD, &left) == 0)
		session->errors_left = (size_t)left;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void session_close(struct agent_session *session)
{
	int status;

	close_fd(&session->input);
	close_fd(&session->output);
	close_fd(&session->errors);
	close_fd(&session->command.events);
	if (session->command.pid > 0)
		while (waitpid(session->command.pid, &status, 0) < 0 && errno == EINTR)
			;
	free(session->pending);
	session->pending = NULL;
	session->used = false;
}

static void send_exit(const struct agent_session *session, struct agent_queue *queue)
{
	uint8_t payload[4 + AGENT_EXIT_TEXT_MAX];
	size_t text = strlen(session->why);
	siginfo_t info = { 0 };
	int code = session->code;

	if (code == 0 && session->command.pid > 0 &&
	    waitid(P_PID, (id_t)session->command.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	agent_number_format((uint32_t)code, payload);
	memcpy(payload + 4, session->why, text);
	agent_queue_put(queue, AGENT_EXIT, session->id, payload, 4 + text);
}

static bool is_drained(const struct agent_session *session)
{
	if (session->unwanted || session->command.pid <= 0)
		return true;
	if (session->has_terminal)
		return session->output < 0 || clock_monotonic_ms() >= session->drain_until_ms;
	return (session->output < 0 || session->output_left == 0) &&
	       (session->errors < 0 || session->errors_left == 0);
}

static bool is_over(const struct agent_session *session)
{
	if (!session->exited || session->command.events >= 0 || !is_drained(session))
		return false;
	return session->kill_ms == 0 || session->killed || !session_signal(session, 0);
}

/* ---- A turn ---- */

static bool has_event(const struct agent_session *session)
{
	struct pollfd news = { .fd = session->command.events, .events = POLLIN };

	return session->command.events >= 0 && poll(&news, 1, 0) > 0;
}

static void take_events(struct agent_session *session)
{
	while (has_event(session)) {
		enum command_event event = command_next_event(&session->command);

		if (event == COMMAND_READY || event == COMMAND_EXECUTED)
			continue;
		session->code = event == COMMAND_NOT_FOUND ? 127 : 126;
		snprintf(session->why, sizeof(session->why), "%.250s",
			 session->command.err.message);
	}
}

/* A command that reads no more: what still comes is taken and dropped. */
static void input_close(struct agent_session *session)
{
	close_fd(&session->input);
	session->taken += session->pending_end - session->pending_start;
	session->pending_start = session->pending_end = 0;
}

static void write_input(struct agent_session *session)
{
	static const char end_of_file = 4; /* as typed, in a terminal's usual mode */
	ssize_t n;

	while (session->input >= 0 && session->pending_start < session->pending_end) {
		n = write(session->input, session->pending + session->pending_start,
			  session->pending_end - session->pending_start);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			input_close(session);
			return;
		}
		session->pending_start += (size_t)n;
		session->taken += (size_t)n;
	}
	session->pending_start = session->pending_end = 0;
	if (session->input < 0 || !session->input_ends)
		return;
	if (session->has_terminal)
		(void)!write(session->input, &end_of_file, 1);
	close_fd(&session->input);
}

static void give_credit(struct agent_session *session, struct agent_queue *queue)
{
	uint8_t payload[4];

	if (session->taken < CREDIT_STEP || session->unwanted || session->exited ||
	    !agent_queue_has_room(queue))
		return;
	agent_number_format((uint32_t)session->taken, payload);
	agent_queue_put(queue, AGENT_CREDIT, session->id, payload, sizeof(payload));
	session->taken = 0;
}

static size_t smallest(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How much of `*fd` may be read now. */
static size_t output_room(const struct agent_session *session, const struct agent_queue *queue,
			  size_t left)
{
	size_t room = queue_room(queue);

	room = room > AGENT_QUEUE_RESERVE + AGENT_HEADER_BYTES
		       ? room - AGENT_QUEUE_RESERVE - AGENT_HEADER_BYTES
		       : 0;
	room = smallest(smallest(room, AGENT_PAYLOAD_MAX), session->credit);
	return session->exited ? smallest(room, left) : room;
}

/* Into the queue, behind the header that it will have. One frame: others want their turn. */
static void read_output(struct agent_session *session, struct agent_queue *queue, int *fd,
			enum agent_kind kind, size_t *left)
{
	uint8_t *header = queue->bytes + queue->end;
	size_t room = output_room(session, queue, *left);
	ssize_t n;

	if (*fd < 0 || session->unwanted || room == 0)
		return;
	n = read(*fd, header + AGENT_HEADER_BYTES, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_fd(fd); /* a terminal says EIO */
		return;
	}
	agent_header_format(kind, session->id, (size_t)n, header);
	queue->end += AGENT_HEADER_BYTES + (size_t)n;
	session->credit -= (size_t)n;
	if (session->exited && !session->has_terminal)
		*left -= (size_t)n;
}

static void keep_time(struct agent_session *session)
{
	int64_t now = clock_monotonic_ms();

	if (session->expires_ms != 0 && now >= session->expires_ms && !session->exited)
		agent_session_kill(session, "killed: it ran longer than its timeout allows");
	if (session->kill_ms != 0 && now >= session->kill_ms && !session->killed) {
		session_signal(session, SIGKILL);
		session->killed = true;
	}
}

void agent_session_serve(struct agent_session *session, struct agent_queue *queue)
{
	take_events(session);
	write_input(session);
	give_credit(session, queue);
	read_output(session, queue, &session->output, AGENT_OUTPUT, &session->output_left);
	read_output(session, queue, &session->errors, AGENT_ERRORS, &session->errors_left);
	keep_time(session);
	if (!is_over(session) || (!session->abandoned && !agent_queue_has_room(queue)))
		return;
	if (!session->abandoned)
		send_exit(session, queue);
	session_close(session);
}

/* Of the moments at which time alone changes something, the next. */
static int64_t next_moment(const struct agent_session *session)
{
	int64_t next = INT64_MAX;

	if (session->expires_ms != 0 && session->kill_ms == 0 && !session->exited)
		next = session->expires_ms;
	if (session->kill_ms != 0 && !session->killed)
		next = session->exited ? clock_monotonic_ms() + 50 : session->kill_ms;
	if (session->exited && session->has_terminal && session->drain_until_ms < next)
		next = session->drain_until_ms;
	return session->exited && session->command.pid <= 0 ? 0 : next;
}

int64_t agent_session_poll(const struct agent_session *session, const struct agent_queue *queue,
			   struct pollfd *polls)
{
	bool reads = session->used && !session->unwanted;
	bool writes = session->used && session->pending_start < session->pending_end;
	/* A terminal has input and output in one: it must be looked at once. */
	bool output = reads && output_room(session, queue, session->output_left) > 0;
	bool errors = reads && output_room(session, queue, session->errors_left) > 0;

	polls[0] = (struct pollfd){ .fd = output ? session->output : -1, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = errors ? session->errors : -1, .events = POLLIN };
	polls[2] = (struct pollfd){ .fd = writes ? session->input : -1, .events = POLLOUT };
	return session->used ? next_moment(session) : INT64_MAX;
}
