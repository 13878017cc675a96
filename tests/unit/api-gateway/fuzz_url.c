/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a path and as a query. What is taken apart is UTF-8 without control characters,
 * within its limits, and the same when every byte of it is escaped and taken apart again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api-gateway/text.h"
#include "api-gateway/url.h"
#include "common/rpc/utf8.h"

static void expect(bool good)
{
	if (!good)
		abort();
}

static void expect_plain(const char *text)
{
	expect(utf8_valid_length(text, strlen(text)) == strlen(text));
	for (const char *c = text; *c; c++)
		expect((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void append_escaped(struct text *to, const char *text)
{
	for (const char *c = text; *c; c++)
		text_append_format(to, "%%%02X", (unsigned char)*c);
}

static void try_path(const char *target)
{
	static struct url_path path, again;
	struct text escaped = { 0 };
	struct err err;

	if (url_path_parse(target, &path, &err))
		return;
	expect(path.count >= 1 && path.count <= URL_SEGMENTS_MAX);
	for (size_t i = 0; i < path.count; i++) {
		expect_plain(path.segments[i]);
		text_append_string(&escaped, "/");
		append_escaped(&escaped, path.segments[i]);
	}
	expect(url_path_parse(escaped.bytes, &again, &err) == 0 && again.count == path.count);
	for (size_t i = 0; i < path.count; i++)
		expect(strcmp(again.segments[i], path.segments[i]) == 0);
	text_done(&escaped);
}

static void try_pair(const struct url_pair *pair)
{
	struct url_pair again;
	struct text escaped = { 0 };
	const char *at;
	struct err err;

	expect_plain(pair->name);
	expect_plain(pair->value);
	append_escaped(&escaped, pair->name);
	text_append_string(&escaped, "=");
	append_escaped(&escaped, pair->value);
	at = escaped.bytes;
	expect(url_query_next(&at, &again, &err) == 1);
	expect(strcmp(again.name, pair->name) == 0 && strcmp(again.value, pair->value) == 0);
	expect(url_query_next(&at, &again, &err) == 0);
	text_done(&escaped);
}

/* A pair is what is between two '&', and none is skipped. */
static void try_query(const char *query)
{
	const char *at = query;
	struct url_pair pair;
	struct err err;
	size_t pairs = 0;
	int r;

	while ((r = url_query_next(&at, &pair, &err)) == 1) {
		try_pair(&pair);
		pairs++;
	}
	for (const char *c = query; r == 0 && *c; c++)
		pairs -= *c != '&' && (c == query || c[-1] == '&');
	expect(r != 0 || pairs == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (text) {
		try_path(text);
		try_query(text);
	}
	free(text);
	return 0;
}
