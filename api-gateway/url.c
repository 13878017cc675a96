/* SPDX-License-Identifier: Apache-2.0 */
#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/rpc/utf8.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Writes a NUL-terminated text. Returns its length, -EINVAL for a bad escape, a control
 * character or bad UTF-8, -E2BIG when it does not fit.
 */
static int decode(const char *from, size_t length, bool plus_is_space, char *to, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return -E2BIG;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)from[i];

		if (used + 1 >= size)
			return -E2BIG;
		if (c == '%') {
			int high = i + 1 < length ? hex_digit(from[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return -EINVAL;
		to[used++] = (char)c;
	}
	to[used] = '\0';
	return utf8_valid_length(to, used) == used ? (int)used : -EINVAL;
}

static int add_segment(const char *from, size_t length, struct url_path *path, size_t *used,
		       struct err *err)
{
	char *to = path->bytes + *used;
	int decoded = decode(from, length, false, to, sizeof(path->bytes) - *used);

	if (decoded == -E2BIG)
		return err_set(err, ERR_INVALID_ARGUMENT, "the path is longer than %d bytes",
			       URL_PATH_BYTES_MAX - 1);
	if (decoded < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the path has a segment %.*s, must be UTF-8 with %%XX escapes and "
			       "without control characters",
			       length > 40 ? 40 : (int)length, from);
	if (strcmp(to, ".") == 0 || strcmp(to, "..") == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "the path has a segment '%s'", to);
	if (path->count == URL_SEGMENTS_MAX)
		return err_set(err, ERR_NOT_FOUND, "no such path");
	path->segments[path->count++] = to;
	*used += (size_t)decoded + 1;
	return 0;
}

int url_path_parse(const char *path, struct url_path *ret, struct err *err)
{
	size_t used = 0;

	ret->count = 0;
	if (*path != '/')
		return err_set(err, ERR_INVALID_ARGUMENT, "the path must start with '/'");
	while (*path == '/') {
		size_t length = strcspn(++path, "/");

		if (add_segment(path, length, ret, &used, err))
			return -1;
		path += length;
	}
	return 0;
}

int url_query_next(const char **at, struct url_pair *ret, struct err *err)
{
	size_t length, name_length, value_length;
	const char *pair;
	int name, value = 0;

	while (**at == '&')
		(*at)++;
	if (**at == '\0')
		return 0;
	pair = *at;
	length = strcspn(pair, "&");
	*at += length;
	name_length = strcspn(pair, "=&");
	name = decode(pair, name_length, true, ret->name, sizeof(ret->name));
	ret->value[0] = '\0';
	value_length = length - name_length;
	if (value_length > 0)
		value = decode(pair + name_length + 1, value_length - 1, true, ret->value,
			       sizeof(ret->value));
	if (name >= 0 && value >= 0)
		return 1;
	if (name == -E2BIG || value == -E2BIG)
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"the query has a name longer than 63 bytes or a value longer than 1023");
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "the query has '%.*s', must be UTF-8 with %%XX escapes and without control "
		       "characters",
		       length > 40 ? 40 : (int)length, pair);
}
