/* SPDX-License-Identifier: Apache-2.0 */
#include "size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "number.h"

static const struct {
	char letter;
	unsigned shift;
} units[] = {
	{ 'T', 40 },
	{ 'G', 30 },
	{ 'M', 20 },
	{ 'K', 10 },
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

/* "", "B", "M", "MB", "MiB" in either case. Returns the shift, or -EINVAL. */
static int unit_shift(const char *text)
{
	if (*text == '\0' || strcasecmp(text, "B") == 0)
		return 0;
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (toupper((unsigned char)text[0]) != units[i].letter)
			continue;
		if (text[1] == '\0' || strcasecmp(text + 1, "B") == 0 ||
		    strcasecmp(text + 1, "iB") == 0)
			return (int)units[i].shift;
	}
	return -EINVAL;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t value;
	int r, shift;

	r = number_read(&text, &value);
	if (r < 0)
		return r;
	shift = unit_shift(text);
	if (shift < 0)
		return shift;
	if (value > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}

struct size_text size_text(uint64_t bytes)
{
	struct size_text text;

	for (size_t i = 0; i < UNIT_COUNT; i++) {
		uint64_t unit = UINT64_C(1) << units[i].shift;

		if (bytes == 0 || bytes % unit != 0)
			continue;
		snprintf(text.s, sizeof(text.s), "%" PRIu64 "%cB", bytes / unit, units[i].letter);
		return text;
	}
	snprintf(text.s, sizeof(text.s), "%" PRIu64 "B", bytes);
	return text;
}
