/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the head of a request, taken apart as leniently as civetweb 1.15 does it. A
 * request that passes edge_check_layout() has a head that is nothing but its parts with the
 * separators of RFC 9112 between them.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api-gateway/edge_check.h"
#include "api-gateway/idempotency.h"
#include "api-gateway/websocket_handshake.h"

/* The head's length, with its empty line; 0: it is not whole, or civetweb refuses it. */
static size_t head_length(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c < 128 && c != '\r' && c != '\n' && !isprint(c))
			return 0;
		if (i + 1 < length && memcmp(bytes + i, "\n\n", 2) == 0)
			return i + 2;
		if (i + 3 < length && memcmp(bytes + i, "\r\n\r\n", 4) == 0)
			return i + 4;
	}
	return 0;
}

/* A word of the first line; NULL when it does not end as it should. */
static char *take_word(char **at, const char *ends)
{
	char *word = *at;

	while (isgraph((unsigned char)**at))
		(*at)++;
	if (!strchr(ends, **at) || **at == '\0')
		return NULL;
	do
		*(*at)++ = '\0';
	while (isspace((unsigned char)**at));
	return word;
}

/* One line "name: value"; false at the end of what civetweb understands. */
static bool take_header(char **at, struct request_header *ret)
{
	char *c = *at;

	while (*c != ':' && *c >= 33 && *c <= 126)
		c++;
	if (c == *at)
		return false;
	while (*c == ' ')
		*c++ = '\0';
	if (*c != ':')
		return false;
	*c = '\0';
	ret->name = *at;
	do
		c++;
	while (*c == ' ' || *c == '\t');
	ret->value = c;
	c += strcspn(c, "\r\n");
	if (*c == '\r') {
		*c++ = '\0';
		if (*c != '\n')
			return false;
	}
	if (*c == '\n')
		*c++ = '\0';
	*at = c;
	return true;
}

static bool take_apart(char *at, struct request *ret)
{
	struct request_header header;
	char *query;

	ret->method = take_word(&at, " ");
	ret->target = ret->method ? take_word(&at, " ") : NULL;
	ret->version = ret->target ? take_word(&at, "\r\n") : NULL;
	if (!ret->version || strncmp(ret->version, "HTTP/", 5) != 0)
		return false;
	ret->version += 5;
	query = strchr(ret->target, '?');
	if (query)
		*query++ = '\0';
	ret->query = query;
	while (ret->header_count < REQUEST_HEADERS_MAX && take_header(&at, &header))
		ret->headers[ret->header_count++] = header;
	return true;
}

static void eat(const char **at, const char *text)
{
	size_t length = strlen(text);

	if (strncmp(*at, text, length) != 0)
		abort();
	*at += length;
}

/* The end of the first line. civetweb leaves nothing that tells which two blanks it was. */
static void eat_line_end(const char **at)
{
	if (!strchr("\r\n", (*at)[0]) || !isspace((unsigned char)(*at)[1]))
		abort();
	*at += 2;
}

static void expect_parts(const char *head, const struct request *request)
{
	eat(&head, request->method);
	eat(&head, " ");
	eat(&head, request->target);
	eat(&head, request->query ? "?" : "");
	eat(&head, request->query ? request->query : "");
	eat(&head, " HTTP/");
	eat(&head, request->version);
	eat_line_end(&head);
	for (size_t i = 0; i < request->header_count; i++) {
		eat(&head, request->headers[i].name);
		eat(&head, ":");
		head += strspn(head, " \t");
		eat(&head, request->headers[i].value);
		eat(&head, "\r\n");
	}
	eat(&head, "\r\n");
	eat(&head, "\n"); /* what fuzz() put there */
}

static void check(const struct request *request)
{
	struct idempotency_id id;
	struct websocket_key key;
	struct err err;

	if (edge_check_framing(request, &err))
		return;
	edge_check_caller(request, false, &err);
	edge_check_caller(request, true, &err);
	idempotency_read(request, "somebody", &id, &err);
	websocket_handshake(request, &key, &err);
}

/* `buffer` is as large as civetweb's, and holds the head. */
static void fuzz(char *buffer, size_t length)
{
	struct request request = { 0 };
	struct err err;
	char *head = malloc(length + 2);

	if (!head)
		return;
	memcpy(head, buffer, length);
	memcpy(head + length, "\n", 2);
	buffer[length - 1] = '\0';
	if (take_apart(buffer, &request) && edge_check_layout(&request, &err) == 0) {
		expect_parts(head, &request);
		check(&request);
	}
	free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buffer = calloc(1, REQUEST_HEAD_BYTES_MAX);
	size_t length;

	if (!buffer || size > REQUEST_HEAD_BYTES_MAX) {
		free(buffer);
		return 0;
	}
	memcpy(buffer, data, size);
	length = head_length(buffer, size);
	if (length > 0 && isgraph((unsigned char)buffer[0]))
		fuzz(buffer, length);
	free(buffer);
	return 0;
}
