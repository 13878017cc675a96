/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as frames and, in them, as the payloads that either side parses. */
#include "instance-svc/guest/agent_protocol.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written again, and is the same. */
static void try_start(const struct agent_frame *frame)
{
	struct agent_start start;
	uint8_t *payload;
	size_t length;

	if (agent_start_parse(frame->payload, frame->length, &start) < 0)
		return;
	if (!start.args[0] || agent_start_format(&start, &payload, &length) < 0)
		abort();
	if (length != frame->length || memcmp(payload, frame->payload, length) != 0)
		abort();
	free(payload);
	agent_start_done(&start);
}

static void try_stat(const struct agent_frame *frame)
{
	struct agent_stat_request request;

	if (agent_stat_request_parse(frame->payload, frame->length, &request) == 0 &&
	    (request.path[0] != '/' || strlen(request.path) != frame->length - 5))
		abort();
}

static void try_reply(const struct agent_frame *frame)
{
	uint8_t bytes[AGENT_STAT_FIXED + AGENT_LINK_MAX];
	struct agent_stat_reply reply;

	if (agent_stat_reply_parse(frame->payload, frame->length, &reply) < 0)
		return;
	if (agent_stat_reply_format(&reply, bytes) != frame->length ||
	    memcmp(bytes, frame->payload, frame->length) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_frame frame;
	int64_t length;
	bool found;

	if (agent_hello_find(AGENT_HELLO, NULL, data, size, &found) > size)
		abort();
	for (size_t at = 0; at < size; at += (size_t)length) {
		length = agent_frame_parse(data + at, size - at, &frame);
		if (length <= 0)
			return 0;
		if ((size_t)length > size - at || frame.length > AGENT_PAYLOAD_MAX)
			abort();
		if (frame.kind == AGENT_START)
			try_start(&frame);
		else if (frame.kind == AGENT_STAT)
			try_stat(&frame);
		else if (frame.kind == AGENT_OUTPUT)
			try_reply(&frame);
	}
	return 0;
}
