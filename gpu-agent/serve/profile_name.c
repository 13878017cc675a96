/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_name.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "gpu-agent/ops.h"

const char *profile_short_name(const char *name)
{
	static const char *const prefixes[] = { "NVIDIA ", "GRID " };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t length = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], length) == 0 && name[length])
			return name + length;
	}
	return name;
}

/* "1Q", "10CME", "24": the last part of the name, or NULL when it does not start with a digit. */
static const char *size_and_series(const char *name)
{
	const char *dash = strrchr(name, '-');

	if (!dash || !isdigit((unsigned char)dash[1]))
		return NULL;
	return dash + 1;
}

enum profile_series profile_series(const char *name)
{
	const char *text = size_and_series(name);

	if (!text)
		return SERIES_OTHER;
	switch (text[strspn(text, "0123456789")]) {
	case 'Q':
		return SERIES_Q;
	case 'B':
		return SERIES_B;
	case 'A':
		return SERIES_A;
	case 'C':
		return SERIES_C;
	default:
		return SERIES_OTHER;
	}
}

int profile_compare(const char *a, int64_t a_mb, const char *b, int64_t b_mb)
{
	enum profile_series a_series = profile_series(a), b_series = profile_series(b);

	if (a_series != b_series)
		return a_series < b_series ? -1 : 1;
	if (a_mb != b_mb)
		return a_mb < b_mb ? -1 : 1;
	return strcmp(a, b);
}

int32_t profile_framebuffer_mb(const char *name)
{
	const char *text = size_and_series(name);
	long gigabytes;

	if (!text || strspn(text, "0123456789") > 5)
		return OPS_UNKNOWN;
	gigabytes = strtol(text, NULL, 10);
	return gigabytes ? (int32_t)gigabytes * 1024 : 512;
}

bool profile_has_slices(const char *name)
{
	const char *text = size_and_series(name);
	const char *end = text ? text - 1 : NULL; /* the dash */
	const char *start = end;

	while (start && start > name && isdigit((unsigned char)start[-1]))
		start--;
	return start && start < end && start > name && start[-1] == '-';
}

int32_t profile_max_instance(const char *name)
{
	static const struct {
		const char *name;
		int32_t framebuffer_mb;
	} boards[] = {
#define VGPU_BOARD(name, mib) { name, mib },
#include "vgpu_boards.def"
#undef VGPU_BOARD
	};
	const char *short_name = profile_short_name(name);
	const char *text = size_and_series(short_name);
	int32_t size = profile_framebuffer_mb(short_name);

	for (size_t i = 0; text && size > 0 && i < sizeof(boards) / sizeof(boards[0]); i++) {
		size_t length = strlen(boards[i].name);

		if ((size_t)(text - 1 - short_name) == length &&
		    strncmp(short_name, boards[i].name, length) == 0)
			return boards[i].framebuffer_mb / size;
	}
	return OPS_UNKNOWN;
}

const char *profile_type_id(const char *type)
{
	const char *dash = strrchr(type, '-');

	return dash && dash[1] ? dash + 1 : type;
}
