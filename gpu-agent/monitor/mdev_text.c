/* SPDX-License-Identifier: Apache-2.0 */
#include "mdev_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu-agent/ops.h"

/* The number after "key=", where key begins a word; *ret_end is the character after it. */
static int32_t find_number(const char *text, const char *key, char *ret_end)
{
	const size_t length = strlen(key);

	for (const char *at = strstr(text, key); at; at = strstr(at + 1, key)) {
		const char *digits = at + length + 1;
		unsigned long long value;
		char *end;

		if (at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '_'))
			continue;
		if (at[length] != '=' || !isdigit((unsigned char)*digits))
			continue;
		errno = 0;
		value = strtoull(digits, &end, 10);
		if (errno || value > INT32_MAX)
			return OPS_UNKNOWN;
		*ret_end = *end;
		return (int32_t)value;
	}
	return OPS_UNKNOWN;
}

int32_t mdev_text_framebuffer(const char *description)
{
	char unit = '\0';
	int32_t value = find_number(description, "framebuffer", &unit);

	return unit == 'M' ? value : OPS_UNKNOWN;
}

int32_t mdev_text_max_instance(const char *description)
{
	char end = '\0';
	int32_t value = find_number(description, "max_instance", &end);

	return end == '\0' || end == ',' || isspace((unsigned char)end) ? value : OPS_UNKNOWN;
}
