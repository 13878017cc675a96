/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may send once the connection is a WebSocket. The first byte says after how many
 * bytes the client pauses (0: it does not). What is received is compared with a reading of all
 * bytes at once.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api-gateway/text.h"
#include "api-gateway/websocket.h"
#include "common/rpc/utf8.h"

/* Messages as "opcode bytes", those of binary messages without a border between them. */
struct log {
	struct text text;
	enum websocket_opcode last;
};

static void expect(bool good)
{
	if (!good)
		abort();
}

static void log_message(struct log *log, enum websocket_opcode opcode, const void *bytes,
			size_t length)
{
	if (opcode != WEBSOCKET_BINARY || log->last != WEBSOCKET_BINARY)
		text_append_format(&log->text, "\n%d ", opcode);
	if (length > 0)
		text_append(&log->text, bytes, length);
	log->last = opcode;
}

/* ---- The other reading ---- */

struct model {
	const uint8_t *bytes;
	size_t length;
	enum websocket_opcode message; /* CONTINUATION: none */
	struct text collected;	       /* of a text message */
	struct log log;
};

static void end_message(struct model *model)
{
	if (model->message == WEBSOCKET_TEXT)
		log_message(&model->log, WEBSOCKET_TEXT, model->collected.bytes,
			    model->collected.length);
	text_done(&model->collected);
	model->message = WEBSOCKET_CONTINUATION;
}

static int model_data(struct model *model, const struct websocket_frame *frame, uint8_t *bytes,
		      size_t here)
{
	if ((frame->opcode == WEBSOCKET_CONTINUATION) == (model->message == WEBSOCKET_CONTINUATION))
		return -EPROTO;
	if (frame->opcode != WEBSOCKET_CONTINUATION)
		model->message = frame->opcode;
	if (model->message == WEBSOCKET_BINARY && here > 0)
		log_message(&model->log, WEBSOCKET_BINARY, bytes, here);
	else if (here > 0)
		text_append(&model->collected, (char *)bytes, here);
	if (model->message == WEBSOCKET_TEXT && model->collected.length > WEBSOCKET_TEXT_MAX)
		return -EMSGSIZE;
	if (here < frame->length)
		return -EPIPE;
	if (frame->final && model->message == WEBSOCKET_TEXT && model->collected.bytes &&
	    utf8_valid_length(model->collected.bytes, model->collected.length) !=
		    model->collected.length)
		return -EILSEQ;
	if (frame->final)
		end_message(model);
	return 0;
}

/* One frame: 0, or how the stream ends. */
static int model_frame(struct model *model)
{
	struct websocket_frame frame;
	int head = websocket_frame_parse(model->bytes, model->length, &frame);
	size_t here;
	uint8_t *bytes;
	int r = 0;

	if (head <= 0)
		return head == 0 ? -EPIPE : head;
	model->bytes += head;
	model->length -= (size_t)head;
	here = frame.length < model->length ? (size_t)frame.length : model->length;
	bytes = malloc(here + 1);
	expect(bytes);
	memcpy(bytes, model->bytes, here);
	for (size_t i = 0; i < here; i++)
		bytes[i] ^= frame.mask[i % 4];
	if (!websocket_opcode_is_control(frame.opcode))
		r = model_data(model, &frame, bytes, here);
	else if (here < frame.length)
		r = -EPIPE;
	else
		log_message(&model->log, frame.opcode, bytes, here);
	free(bytes);
	model->bytes += here;
	model->length -= here;
	return r;
}

/* ---- */

static int receive_all(struct websocket *socket, struct log *log)
{
	struct websocket_message message;
	int r;

	while ((r = websocket_receive(socket, 1, &message)) == 0)
		log_message(log, message.opcode, message.bytes, message.length);
	return r;
}

static int receive(const uint8_t *bytes, size_t length, size_t pause, struct log *log)
{
	static atomic_bool stopping;
	struct websocket *socket;
	int fds[2], r = -ETIMEDOUT;

	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	socket = websocket_new(fds[0], &stopping);
	expect(socket);
	if (pause > 0 && pause < length) {
		expect(write(fds[1], bytes, pause) == (ssize_t)pause);
		r = receive_all(socket, log);
		bytes += pause;
		length -= pause;
	}
	if (r == -ETIMEDOUT) {
		expect(write(fds[1], bytes, length) == (ssize_t)length);
		shutdown(fds[1], SHUT_WR);
		while (r == -ETIMEDOUT)
			r = receive_all(socket, log);
	}
	websocket_free(socket);
	close(fds[0]);
	close(fds[1]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model model = { 0 };
	struct log log = { 0 };
	int r = 0;

	if (size < 2 || size > 100000)
		return 0; /* nothing, or more than a socket holds */
	model.bytes = data + 1;
	model.length = size - 1;
	while (r == 0)
		r = model_frame(&model);
	expect(receive(data + 1, size - 1, data[0], &log) == r);
	expect(log.text.length == model.log.text.length);
	if (log.text.length > 0)
		expect(memcmp(log.text.bytes, model.log.text.bytes, log.text.length) == 0);
	text_done(&log.text);
	text_done(&model.log.text);
	text_done(&model.collected);
	return 0;
}
