/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's half of one session with a guest's agent (guest/agent_protocol.h): what is to be
 * said, what was heard, and how much of either is allowed. No descriptor, no lock, no clock:
 * guest_channel.c moves the frames. What the guest says is checked here.
 */

#ifndef INSTANCE_SVC_GUEST_STREAM_H
#define INSTANCE_SVC_GUEST_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent_protocol.h"

/* Bytes that wait, at most the window of their direction. */
struct guest_bytes {
	uint8_t *bytes; /* owned; NULL: none came yet */
	size_t start, end;
};

enum guest_flow {
	GUEST_OUTPUT,
	GUEST_ERRORS,
	GUEST_FLOWS
};

struct guest_stream {
	uint32_t id;		 /* 0 until the first frame is made */
	enum agent_kind opening; /* AGENT_START or AGENT_STAT */
	uint8_t *request;	 /* its payload, owned, until it was sent */
	size_t request_length;
	bool opened;

	struct guest_bytes input;
	size_t input_credit; /* the guest takes so many more bytes */
	bool input_ends, input_ended;
	bool resize;
	uint32_t rows, columns;
	bool kill, killed;

	struct guest_bytes flows[GUEST_FLOWS];
	size_t allowed; /* the guest may send so many more bytes */
	size_t taken;	/* bytes of output given away, for which it got no credit yet */
	bool exited;
	int exit_code;				 /* 0 to 255 */
	char exit_text[AGENT_EXIT_TEXT_MAX + 1]; /* any bytes */
};

/* `take_request` from malloc(). */
void guest_stream_init(struct guest_stream *stream, enum agent_kind opening, uint8_t *take_request,
		       size_t length);
void guest_stream_done(struct guest_stream *stream);

/* ---- The caller's side ---- */

/* Room for input: take_input takes no more than that. */
size_t guest_stream_input_room(const struct guest_stream *stream);
int guest_stream_put_input(struct guest_stream *stream, const uint8_t *bytes, size_t length);

/* Copies up to `size` bytes of one flow. Returns how many. */
size_t guest_stream_take(struct guest_stream *stream, enum guest_flow flow, uint8_t *bytes,
			 size_t size);

/* The command has ended, and all it said was taken. */
bool guest_stream_is_over(const struct guest_stream *stream);

/* ---- The guest's side ---- */

/* A frame of this session. 0, -EPROTO for what the guest must not say, -ENOMEM. */
int guest_stream_receive(struct guest_stream *stream, const struct agent_frame *frame);

/*
 * The next frame to send (the first needs an id), header and all, into AGENT_HEADER_BYTES +
 * AGENT_PAYLOAD_MAX bytes. Returns its length, 0 when there is none.
 */
size_t guest_stream_send(struct guest_stream *stream, uint8_t *frame);

#endif
