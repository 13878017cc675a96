/* SPDX-License-Identifier: Apache-2.0 */
#include "duration.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define DURATION_MS_MAX (24 * 3600 * 1000LL)

/* Moves behind the unit. 0 for an unknown one. */
static int64_t unit_ms(const char **at)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(*at, units[i].name, length) == 0) {
			*at += length;
			return units[i].ms;
		}
	}
	return 0;
}

int duration_parse(const char *text, int64_t *ret_ms)
{
	int64_t sum = 0;

	do {
		int64_t number = 0, unit;

		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		while (isdigit((unsigned char)*text) && number <= DURATION_MS_MAX)
			number = number * 10 + (*text++ - '0');
		unit = unit_ms(&text);
		if (unit == 0 || number > (DURATION_MS_MAX - sum) / unit)
			return -EINVAL;
		sum += number * unit;
	} while (*text);
	*ret_ms = sum;
	return 0;
}
