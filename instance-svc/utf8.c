/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <string.h>

static const char replacement[] = "\xef\xbf\xbd";

/* Length of the valid character at `s`, or 0. No surrogates, no overlong forms. */
static size_t character_length(const unsigned char *s, size_t size)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (s[0] < 0x80)
		return s[0] != 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		length = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		length = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (size < length || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

size_t utf8_clean(const char *from, size_t size, char *to, size_t to_size, size_t *ret_consumed)
{
	size_t used = 0, at = 0;

	while (at < size) {
		size_t length = character_length((const unsigned char *)from + at, size - at);
		const char *source = length ? from + at : replacement;
		size_t bytes = length ? length : sizeof(replacement) - 1;

		if (used + bytes >= to_size)
			break;
		memcpy(to + used, source, bytes);
		used += bytes;
		at += length ? length : 1;
	}
	*ret_consumed = at;
	return used;
}

void utf8_copy(char *to, size_t to_size, const char *from)
{
	size_t consumed;

	to[utf8_clean(from, strlen(from), to, to_size, &consumed)] = '\0';
}
