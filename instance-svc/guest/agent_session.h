/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of the agent: a command, its pipes or its terminal, and what of its input is
 * not yet written. Output goes straight into the queue to the host, as far as the host's
 * credit and the queue's room go.
 */

#ifndef INSTANCE_SVC_GUEST_AGENT_SESSION_H
#define INSTANCE_SVC_GUEST_AGENT_SESSION_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent_protocol.h"
#include "command.h"

/* Frames on their way to the host. */
struct agent_queue {
	uint8_t bytes[4 * (AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX)];
	size_t start, end;
};

/* Frames of commands' output leave so much free, which is enough for all others. */
#define AGENT_QUEUE_RESERVE (AGENT_SESSIONS_MAX * 512)

/* Room for a payload of any other kind than OUTPUT and ERRORS. */
bool agent_queue_has_room(const struct agent_queue *queue);
void agent_queue_put(struct agent_queue *queue, enum agent_kind kind, uint32_t session,
		     const void *payload, size_t length);

struct agent_session {
	bool used;
	bool unwanted;	/* the caller is gone: its output is dropped */
	bool abandoned; /* the host is gone, too: nothing more is said of it, its id means nothing
			 */
	uint32_t id;
	struct command command;
	bool has_terminal;
	int input, output, errors; /* our ends; -1: closed */

	uint8_t *pending; /* AGENT_INPUT_WINDOW bytes of input, owned; NULL: none came yet */
	size_t pending_start, pending_end;
	bool input_ends;
	size_t taken; /* bytes of input done with, for which no credit was given yet */

	size_t credit; /* bytes of output that the host allows */
	bool exited;   /* a zombie until the session is closed: its pid stays ours */
	int status;
	size_t output_left, errors_left; /* once exited: what was in the pipes then */
	int64_t drain_until_ms;		 /* of a terminal, once exited */

	int64_t expires_ms; /* 0: no limit */
	int64_t kill_ms;    /* SIGHUP was sent, SIGKILL comes then; 0: none was */
	bool killed;
	char why[AGENT_EXIT_TEXT_MAX]; /* it did not end by itself; "": it did */
	int code;		       /* exit code where there is no status: 126, 127 */
};

/* Both leave a session that is `used`, also when they fail: its end says why. */
void agent_session_start(struct agent_session *session, uint32_t id,
			 const struct guest_config *config, const struct agent_start *start);
void agent_session_stat(struct agent_session *session, uint32_t id,
			const struct agent_stat_request *request);

/* 0, or -EPROTO: more than the host was allowed to send. -ENOMEM. */
int agent_session_input(struct agent_session *session, const uint8_t *bytes, size_t length);
void agent_session_resize(struct agent_session *session, uint32_t rows, uint32_t columns);

/* Begins to end it; `why` is told to the caller. */
void agent_session_kill(struct agent_session *session, const char *why);

/* Nobody wants its output any more; `abandoned`: nor its end. */
void agent_session_drop(struct agent_session *session, bool abandoned);

/* What to wait for: fills three entries. Returns when it wants a turn by itself, or INT64_MAX. */
#define AGENT_SESSION_POLLS 3
int64_t agent_session_poll(const struct agent_session *session, const struct agent_queue *queue,
			   struct pollfd *polls);

/* A turn: moves what can be moved, and closes the session when it is over. */
void agent_session_serve(struct agent_session *session, struct agent_queue *queue);

/* After SIGCHLD. */
void agent_session_reap(struct agent_session *session);

#endif
