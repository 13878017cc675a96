/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long the payload of a kind may be, and whether it belongs to a session. */
static const struct {
	uint32_t least, most;
	bool session;
} kinds[AGENT_KIND_COUNT] = {
	[AGENT_HELLO] = { AGENT_HELLO_BYTES, AGENT_HELLO_BYTES, false },
	[AGENT_WELCOME] = { AGENT_HELLO_BYTES, AGENT_HELLO_BYTES, false },
	[AGENT_START] = { AGENT_START_FIXED + 2, AGENT_PAYLOAD_MAX, true },
	[AGENT_STAT] = { 4 + 2, 4 + AGENT_LINK_MAX, true },
	[AGENT_INPUT] = { 1, AGENT_PAYLOAD_MAX, true },
	[AGENT_INPUT_END] = { 0, 0, true },
	[AGENT_RESIZE] = { 8, 8, true },
	[AGENT_KILL] = { 0, 0, true },
	[AGENT_OUTPUT] = { 1, AGENT_PAYLOAD_MAX, true },
	[AGENT_ERRORS] = { 1, AGENT_PAYLOAD_MAX, true },
	[AGENT_EXIT] = { 4, 4 + AGENT_EXIT_TEXT_MAX, true },
	[AGENT_CREDIT] = { 4, 4, true },
};

uint32_t agent_number(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

void agent_number_format(uint32_t number, uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
}

void agent_header_format(enum agent_kind kind, uint32_t session, size_t length,
			 uint8_t header[AGENT_HEADER_BYTES])
{
	agent_number_format(kind, header);
	agent_number_format(session, header + 4);
	agent_number_format((uint32_t)length, header + 8);
}

int64_t agent_frame_parse(const uint8_t *bytes, size_t size, struct agent_frame *ret)
{
	uint32_t kind, session, length;

	if (size < AGENT_HEADER_BYTES)
		return 0;
	kind = agent_number(bytes);
	session = agent_number(bytes + 4);
	length = agent_number(bytes + 8);
	if (kind == 0 || kind >= AGENT_KIND_COUNT || length < kinds[kind].least ||
	    length > kinds[kind].most || (session != 0) != kinds[kind].session)
		return -EPROTO;
	if (size - AGENT_HEADER_BYTES < length)
		return 0;
	*ret = (struct agent_frame){
		.kind = (enum agent_kind)kind,
		.session = session,
		.payload = bytes + AGENT_HEADER_BYTES,
		.length = length,
	};
	return AGENT_HEADER_BYTES + (int64_t)length;
}

size_t agent_hello_find(enum agent_kind kind, const uint8_t *token, const uint8_t *bytes,
			size_t size, bool *ret_found)
{
	uint8_t wanted[AGENT_HEADER_BYTES + AGENT_HELLO_BYTES];
	size_t length = token ? sizeof(wanted) : sizeof(wanted) - AGENT_TOKEN_BYTES;
	const uint8_t *at;

	agent_header_format(kind, 0, AGENT_HELLO_BYTES, wanted);
	memcpy(wanted + AGENT_HEADER_BYTES, AGENT_MAGIC, AGENT_MAGIC_BYTES);
	if (token)
		memcpy(wanted + AGENT_HEADER_BYTES + AGENT_MAGIC_BYTES, token, AGENT_TOKEN_BYTES);
	at = size < length ? NULL : memmem(bytes, size, wanted, length);
	*ret_found = at != NULL;
	if (at)
		return (size_t)(at - bytes);
	return size < length ? 0 : size - length + 1;
}

/* Cuts `count` texts off the bytes. NULL when there are fewer; free the array. */
static char **texts_cut(char **at, const char *end, uint32_t count)
{
	char **texts;

	if (count > (size_t)(end - *at))
		return NULL;
	texts = calloc((size_t)count + 1, sizeof(*texts));
	for (uint32_t i = 0; texts && i < count; i++) {
		char *nul = memchr(*at, '\0', (size_t)(end - *at));

		if (!nul) {
			free(texts);
			return NULL;
		}
		texts[i] = *at;
		*at = nul + 1;
	}
	return texts;
}

static bool are_variables(char *const *env)
{
	for (; *env; env++)
		if (!strchr(*env, '=') || **env == '=')
			return false;
	return true;
}

int agent_start_parse(const uint8_t *payload, size_t length, struct agent_start *ret)
{
	char *at = (char *)(uintptr_t)payload + AGENT_START_FIXED; /* execvp() takes no const */
	const char *end = (const char *)payload + length;
	uint32_t flags;

	*ret = (struct agent_start){ 0 };
	if (length < AGENT_START_FIXED + 1 || payload[length - 1] != '\0')
		return -EPROTO;
	flags = agent_number(payload);
	ret->tty = flags & AGENT_START_TTY;
	ret->rows = agent_number(payload + 4);
	ret->columns = agent_number(payload + 8);
	ret->timeout_s = agent_number(payload + 12);
	ret->cwd = at;
	at += strlen(at) + 1;
	ret->args = texts_cut(&at, end, agent_number(payload + 16));
	ret->env = ret->args ? texts_cut(&at, end, agent_number(payload + 20)) : NULL;
	if (ret->env && at == end && flags <= AGENT_START_TTY && ret->args[0] &&
	    are_variables(ret->env))
		return 0;
	agent_start_done(ret);
	return -EPROTO;
}

void agent_start_done(struct agent_start *start)
{
	free(start->args);
	free(start->env);
	*start = (struct agent_start){ 0 };
}

static size_t texts_size(char *const *texts, uint32_t *ret_count)
{
	size_t size = 0;

	for (*ret_count = 0; texts && texts[*ret_count]; (*ret_count)++)
		size += strlen(texts[*ret_count]) + 1;
	return size;
}

static uint8_t *text_put(uint8_t *at, const char *text)
{
	size_t size = strlen(text) + 1;

	memcpy(at, text, size);
	return at + size;
}

int agent_start_format(const struct agent_start *start, uint8_t **ret, size_t *ret_length)
{
	uint32_t arg_count, env_count;
	size_t length = AGENT_START_FIXED + strlen(start->cwd) + 1;
	uint8_t *payload, *at;

	length += texts_size(start->args, &arg_count) + texts_size(start->env, &env_count);
	if (length > AGENT_PAYLOAD_MAX)
		return -E2BIG;
	payload = malloc(length);
	if (!payload)
		return -ENOMEM;
	agent_number_format(start->tty ? AGENT_START_TTY : 0, payload);
	agent_number_format(start->rows, payload + 4);
	agent_number_format(start->columns, payload + 8);
	agent_number_format(start->timeout_s, payload + 12);
	agent_number_format(arg_count, payload + 16);
	agent_number_format(env_count, payload + 20);
	at = text_put(payload + AGENT_START_FIXED, start->cwd);
	for (uint32_t i = 0; i < arg_count; i++)
		at = text_put(at, start->args[i]);
	for (uint32_t i = 0; i < env_count; i++)
		at = text_put(at, start->env[i]);
	*ret = payload;
	*ret_length = length;
	return 0;
}

int agent_stat_request_parse(const uint8_t *payload, size_t length, struct agent_stat_request *ret)
{
	uint32_t follow;

	if (length < 4 + 2 || strnlen((const char *)payload + 4, length - 4) != length - 5 ||
	    payload[4] != '/')
		return -EPROTO;
	follow = agent_number(payload);
	if (follow > 1)
		return -EPROTO;
	*ret = (struct agent_stat_request){ follow == 1, (const char *)payload + 4 };
	return 0;
}

int agent_stat_reply_parse(const uint8_t *bytes, size_t size, struct agent_stat_reply *ret)
{
	size_t link = size - AGENT_STAT_FIXED;
	uint32_t error;

	if (size < AGENT_STAT_FIXED || link >= sizeof(ret->link) ||
	    memchr(bytes + AGENT_STAT_FIXED, '\0', link))
		return -EPROTO;
	error = agent_number(bytes);
	if (error > 4095)
		return -EPROTO;
	ret->error = (int)error;
	ret->mode = agent_number(bytes + 4);
	ret->size = (int64_t)(agent_number(bytes + 8) | (uint64_t)agent_number(bytes + 12) << 32);
	memcpy(ret->link, bytes + AGENT_STAT_FIXED, link);
	ret->link[link] = '\0';
	return 0;
}

size_t agent_stat_reply_format(const struct agent_stat_reply *reply, uint8_t *bytes)
{
	size_t link = strlen(reply->link);

	agent_number_format((uint32_t)reply->error, bytes);
	agent_number_format(reply->mode, bytes + 4);
	agent_number_format((uint32_t)reply->size, bytes + 8);
	agent_number_format((uint32_t)((uint64_t)reply->size >> 32), bytes + 12);
	memcpy(bytes + AGENT_STAT_FIXED, reply->link, link);
	return AGENT_STAT_FIXED + link;
}
