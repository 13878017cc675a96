/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions with the agents in guests (guest/agent_protocol.h). All sessions of one VM share
 * one connection, which is made for the first of them, has one thread, and ends when no
 * session was left for a while. The guest is not trusted: what it sends is checked, what it
 * can make us keep is bounded, and all it can break are its own sessions.
 */

#ifndef INSTANCE_SVC_GUEST_CHANNEL_H
#define INSTANCE_SVC_GUEST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "guest_stream.h"
#include "id.h"

/* So long may the agent take to answer when a connection is made. */
#define GUEST_ANSWER_MS 10000

struct guest_channels;
struct guest_session;

/*
 * `connect_to` gives a connection to the agent of an instance: a descriptor that does not
 * block, or -errno. Returns NULL when out of memory.
 */
struct guest_channels *guest_channels_new(int (*connect_to)(void *user, const struct id *instance),
					  void *user);

/* Every session is closed. Ends every connection, and with them what still runs in guests. */
void guest_channels_free(struct guest_channels *channels);

/*
 * Opens a session with START or STAT; `take_request` is the payload. Does not wait. `notify`
 * is called, from any thread and under a lock, whenever there is something new; it must not
 * call back. Refused when the instance has AGENT_SESSIONS_MAX.
 */
int guest_session_open(struct guest_channels *channels, const struct id *instance,
		       enum agent_kind opening, uint8_t *take_request, size_t length,
		       void (*notify)(void *user), void *user, struct guest_session **ret,
		       struct err *err);

/* Kills the command unless it has ended. NULL is fine. */
void guest_session_close(struct guest_session *session);

size_t guest_session_input_room(struct guest_session *session);

/* At most as many bytes as there is room for. 0, or -ENOMEM. */
int guest_session_put_input(struct guest_session *session, const uint8_t *bytes, size_t length);
void guest_session_end_input(struct guest_session *session);
void guest_session_resize(struct guest_session *session, uint32_t rows, uint32_t columns);

enum guest_news {
	GUEST_NEWS_NONE,   /* notify() will be called */
	GUEST_NEWS_OUTPUT, /* bytes, length */
	GUEST_NEWS_ERRORS,
	GUEST_NEWS_EXIT, /* exit_code, text: the last */
	GUEST_NEWS_LOST, /* text: the connection broke, or was never made; the last */
};

struct guest_report {
	uint8_t *bytes; /* of the caller, `size` of them */
	size_t size, length;
	int exit_code;
	char text[AGENT_EXIT_TEXT_MAX + 1]; /* valid UTF-8 */
};

enum guest_news guest_session_next(struct guest_session *session, struct guest_report *report);

#endif
