/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest says anything to a session that is open; between its frames the caller takes
 * output and gives input, as the first byte says.
 */
#include "instance-svc/guest_stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct guest_stream *stream)
{
	size_t waiting = 0;

	for (int flow = 0; flow < GUEST_FLOWS; flow++) {
		const struct guest_bytes *bytes = &stream->flows[flow];

		if (bytes->start > bytes->end || bytes->end > AGENT_OUTPUT_WINDOW)
			abort();
		waiting += bytes->end - bytes->start;
	}
	/* Whatever it does, it can make us keep no more than its window. */
	if (waiting + stream->taken + stream->allowed > AGENT_OUTPUT_WINDOW ||
	    stream->input_credit > AGENT_INPUT_WINDOW || stream->exit_code > 255)
		abort();
}

static void caller(struct guest_stream *stream, unsigned habits)
{
	static uint8_t bytes[AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX];

	if ((habits & 1) && guest_stream_input_room(stream) >= 3000)
		(void)guest_stream_put_input(stream, bytes, 3000);
	if (habits & 2)
		(void)guest_stream_take(stream, GUEST_OUTPUT, bytes, 40000);
	if (habits & 4)
		(void)guest_stream_take(stream, GUEST_ERRORS, bytes, 40000);
	if (habits & 8)
		stream->kill = true;
	while ((habits & 16) && guest_stream_send(stream, bytes) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t scratch[AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX];
	struct guest_stream stream;
	struct agent_frame frame;
	int64_t length;

	if (size == 0)
		return 0;
	guest_stream_init(&stream, AGENT_STAT, calloc(1, 8), 8);
	stream.id = 1;
	(void)guest_stream_send(&stream, scratch);
	for (size_t at = 1; at < size; at += (size_t)length) {
		length = agent_frame_parse(data + at, size - at, &frame);
		if (length <= 0 || guest_stream_receive(&stream, &frame) < 0)
			break;
		check(&stream);
		caller(&stream, data[0]);
		check(&stream);
	}
	guest_stream_done(&stream);
	return 0;
}
