/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CREDIT_STEP (AGENT_OUTPUT_WINDOW / 4) /* given back at once */

void guest_stream_init(struct guest_stream *stream, enum agent_kind opening, uint8_t *take_request,
		       size_t length)
{
	*stream = (struct guest_stream){
		.opening = opening,
		.request = take_request,
		.request_length = length,
		.input_credit = AGENT_INPUT_WINDOW,
		.allowed = AGENT_OUTPUT_WINDOW,
	};
}

void guest_stream_done(struct guest_stream *stream)
{
	free(stream->request);
	free(stream->input.bytes);
	for (int i = 0; i < GUEST_FLOWS; i++)
		free(stream->flows[i].bytes);
	*stream = (struct guest_stream){ 0 };
}

/* ---- Bytes ---- */

static size_t bytes_size(const struct guest_bytes *bytes)
{
	return bytes->end - bytes->start;
}

/* `room`: of the window; the caller has made sure that they fit. */
static int bytes_put(struct guest_bytes *bytes, size_t room, const uint8_t *more, size_t length)
{
	if (!bytes->bytes && !(bytes->bytes = malloc(room)))
		return -ENOMEM;
	if (bytes->end + length > room) {
		memmove(bytes->bytes, bytes->bytes + bytes->start, bytes_size(bytes));
		bytes->end -= bytes->start;
		bytes->start = 0;
	}
	memcpy(bytes->bytes + bytes->end, more, length);
	bytes->end += length;
	return 0;
}

static size_t bytes_take(struct guest_bytes *bytes, uint8_t *to, size_t size)
{
	size_t length = bytes_size(bytes) < size ? bytes_size(bytes) : size;

	if (length > 0)
		memcpy(to, bytes->bytes + bytes->start, length);
	bytes->start += length;
	if (bytes->start == bytes->end)
		bytes->start = bytes->end = 0;
	return length;
}

/* ---- The caller's side ---- */

size_t guest_stream_input_room(const struct guest_stream *stream)
{
	return AGENT_INPUT_WINDOW - bytes_size(&stream->input);
}

int guest_stream_put_input(struct guest_stream *stream, const uint8_t *bytes, size_t length)
{
	return bytes_put(&stream->input, AGENT_INPUT_WINDOW, bytes, length);
}

size_t guest_stream_take(struct guest_stream *stream, enum guest_flow flow, uint8_t *bytes,
			 size_t size)
{
	size_t length = bytes_take(&stream->flows[flow], bytes, size);

	stream->taken += length;
	return length;
}

bool guest_stream_is_over(const struct guest_stream *stream)
{
	return stream->exited && bytes_size(&stream->flows[GUEST_OUTPUT]) == 0 &&
	       bytes_size(&stream->flows[GUEST_ERRORS]) == 0;
}

/* ---- The guest's side ---- */

static int take_output(struct guest_stream *stream, enum guest_flow flow,
		       const struct agent_frame *frame)
{
	if (frame->length > stream->allowed)
		return -EPROTO;
	stream->allowed -= frame->length;
	if (stream->kill)
		return 0; /* nobody will take it: no more credit either */
	return bytes_put(&stream->flows[flow], AGENT_OUTPUT_WINDOW, frame->payload, frame->length);
}

static int take_exit(struct guest_stream *stream, const struct agent_frame *frame)
{
	uint32_t code = agent_number(frame->payload);

	if (code > 255)
		return -EPROTO;
	stream->exited = true;
	stream->exit_code = (int)code;
	memcpy(stream->exit_text, frame->payload + 4, frame->length - 4);
	stream->exit_text[frame->length - 4] = '\0';
	return 0;
}

static int take_credit(struct guest_stream *stream, const struct agent_frame *frame)
{
	uint32_t more = agent_number(frame->payload);

	if (more == 0 || more > AGENT_INPUT_WINDOW - stream->input_credit)
		return -EPROTO;
	stream->input_credit += more;
	return 0;
}

int guest_stream_receive(struct guest_stream *stream, const struct agent_frame *frame)
{
	if (!stream->opened || stream->exited)
		return -EPROTO;
	switch (frame->kind) {
	case AGENT_OUTPUT:
		return take_output(stream, GUEST_OUTPUT, frame);
	case AGENT_ERRORS:
		return take_output(stream, GUEST_ERRORS, frame);
	case AGENT_EXIT:
		return take_exit(stream, frame);
	case AGENT_CREDIT:
		return take_credit(stream, frame);
	default:
		return -EPROTO; /* ours to say */
	}
}

static size_t frame_make(const struct guest_stream *stream, enum agent_kind kind,
			 const uint8_t *payload, size_t length, uint8_t *frame)
{
	agent_header_format(kind, stream->id, length, frame);
	if (length > 0)
		memcpy(frame + AGENT_HEADER_BYTES, payload, length);
	return AGENT_HEADER_BYTES + length;
}

static size_t send_opening(struct guest_stream *stream, uint8_t *frame)
{
	size_t length =
		frame_make(stream, stream->opening, stream->request, stream->request_length, frame);

	free(stream->request);
	stream->request = NULL;
	stream->opened = true;
	return length;
}

static size_t send_resize(struct guest_stream *stream, uint8_t *frame)
{
	uint8_t payload[8];

	stream->resize = false;
	agent_number_format(stream->rows, payload);
	agent_number_format(stream->columns, payload + 4);
	return frame_make(stream, AGENT_RESIZE, payload, sizeof(payload), frame);
}

static size_t send_credit(struct guest_stream *stream, uint8_t *frame)
{
	uint8_t payload[4];

	agent_number_format((uint32_t)stream->taken, payload);
	stream->allowed += stream->taken;
	stream->taken = 0;
	return frame_make(stream, AGENT_CREDIT, payload, sizeof(payload), frame);
}

static size_t send_input(struct guest_stream *stream, uint8_t *frame)
{
	size_t room =
		stream->input_credit < AGENT_PAYLOAD_MAX ? stream->input_credit : AGENT_PAYLOAD_MAX;
	size_t length = bytes_take(&stream->input, frame + AGENT_HEADER_BYTES, room);

	agent_header_format(AGENT_INPUT, stream->id, length, frame);
	stream->input_credit -= length;
	return AGENT_HEADER_BYTES + length;
}

size_t guest_stream_send(struct guest_stream *stream, uint8_t *frame)
{
	if (stream->exited || stream->killed)
		return 0;
	if (!stream->opened)
		return send_opening(stream, frame);
	if (stream->kill) {
		stream->killed = true;
		return frame_make(stream, AGENT_KILL, NULL, 0, frame);
	}
	if (stream->resize)
		return send_resize(stream, frame);
	if (stream->taken >= CREDIT_STEP)
		return send_credit(stream, frame);
	if (bytes_size(&stream->input) > 0)
		return stream->input_credit > 0 ? send_input(stream, frame) : 0;
	if (stream->input_ends && !stream->input_ended) {
		stream->input_ended = true;
		return frame_make(stream, AGENT_INPUT_END, NULL, 0, frame);
	}
	return 0;
}
