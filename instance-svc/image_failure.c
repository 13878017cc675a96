/* SPDX-License-Identifier: Apache-2.0 */
#include "image_failure.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX 240

/* The first line that matches decides. Words of skopeo 1.9, umoci 0.4.7
 * and, capital, of C programs. */
static const struct {
	const char *words;
	enum err_reason reason;
	const char *meaning;
} known[] = {
	{ "manifest unknown", ERR_NOT_FOUND, "no such image" },
	{ "name unknown", ERR_NOT_FOUND, "no such image" },
	{ "repository name not known", ERR_NOT_FOUND, "no such image" },
	{ "does not match provided manifest digest", ERR_FAILED_PRECONDITION, "digest mismatch" },
	{ "igest did not match", ERR_FAILED_PRECONDITION, "digest mismatch" },
	{ "igest mismatch", ERR_FAILED_PRECONDITION, "digest mismatch" },
	{ "diffid mismatch", ERR_FAILED_PRECONDITION, "digest mismatch" },
	{ "blob unknown", ERR_FAILED_PRECONDITION, "a layer or its config is missing" },
	{ "status code from registry 404", ERR_FAILED_PRECONDITION,
	  "a layer or its config is missing" },
	{ "no space left on device", ERR_INSUFFICIENT_CAPACITY, "the disk is full" },
	{ "No space left on device", ERR_INSUFFICIENT_CAPACITY, "the disk is full" },
	{ "restore chown metadata", ERR_FAILED_PRECONDITION, "a file's owner is beyond id 65535" },
	{ "unauthorized", ERR_FAILED_PRECONDITION,
	  "no such image, or the registry wants other credentials" },
	{ "authentication required", ERR_FAILED_PRECONDITION,
	  "no such image, or the registry wants other credentials" },
	{ "denied", ERR_FAILED_PRECONDITION,
	  "no such image, or the registry wants other credentials" },
	{ "connection refused", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "connection reset", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "no such host", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "server misbehaving", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "network is unreachable", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "no route to host", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "timeout", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "timed out", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "unexpected EOF", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "server gave HTTP response", ERR_UNAVAILABLE, "the registry does not speak TLS" },
	{ "x509:", ERR_UNAVAILABLE, "the registry's certificate is not trusted" },
	{ "pinging container registry", ERR_UNAVAILABLE, "the registry cannot be reached" },
	{ "toomanyrequests", ERR_UNAVAILABLE, "the registry limits our requests" },
	{ "HTTP status: 5", ERR_UNAVAILABLE, "the registry is out of order" },
	{ "unpack entry", ERR_FAILED_PRECONDITION, "a layer cannot be unpacked" },
};

/* The last line with anything on it: what came before is progress. */
static const char *last_line(const char *text, size_t *ret_length)
{
	const char *end = text + strlen(text), *start;

	while (end > text && strchr(" \r\n", end[-1]))
		end--;
	start = end;
	while (start > text && start[-1] != '\n')
		start--;
	*ret_length = (size_t)(end - start);
	return start;
}

/* logrus: time="..." level=fatal msg="quoted". Others: the line itself. */
static void sentence_read(const char *line, size_t length, char ret[SENTENCE_MAX])
{
	static const char mark[] = "msg=\"";
	const char *at = memmem(line, length, mark, sizeof(mark) - 1);
	const char *end = line + length;
	bool quoted = at != NULL;
	size_t used = 0;

	at = quoted ? at + sizeof(mark) - 1 : line;
	for (; at < end && used + 1 < SENTENCE_MAX; at++) {
		if (quoted && *at == '"')
			break;
		if (quoted && *at == '\\' && at + 1 < end)
			at++;
		if (used > 0 || (unsigned char)*at > ' ')
			ret[used++] = (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at;
	}
	ret[used] = '\0';
}

struct image_failure image_failure_read(const char *printed)
{
	struct image_failure failure = { .reason = ERR_INTERNAL };
	char sentence[SENTENCE_MAX];
	size_t length;
	const char *line = last_line(printed, &length);

	sentence_read(line, length, sentence);
	snprintf(failure.text, sizeof(failure.text), "%s", sentence);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!memmem(line, length, known[i].words, strlen(known[i].words)))
			continue;
		failure.reason = known[i].reason;
		snprintf(failure.text, sizeof(failure.text), "%s (%s)", known[i].meaning, sentence);
		break;
	}
	return failure;
}
