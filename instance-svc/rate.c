/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "number.h"

static const struct {
	const char *name;
	uint64_t bps;
} units[] = {
	{ "Tbps", UINT64_C(1000000000000) },
	{ "Gbps", 1000000000 },
	{ "Mbps", 1000000 },
	{ "Kbps", 1000 },
	{ "bps", 1 },
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

static uint64_t unit_find(const char *text)
{
	if (*text == '\0')
		return 1;
	for (size_t i = 0; i < UNIT_COUNT; i++)
		if (strcasecmp(text, units[i].name) == 0)
			return units[i].bps;
	return 0;
}

int rate_parse(const char *text, uint64_t *ret_bps)
{
	uint64_t value, unit;
	int r;

	r = number_read(&text, &value);
	if (r < 0)
		return r;
	unit = unit_find(text);
	if (unit == 0)
		return -EINVAL;
	if (value > INT64_MAX / unit)
		return -ERANGE;
	*ret_bps = value * unit;
	return 0;
}

struct rate_text rate_text(uint64_t bps)
{
	struct rate_text text;
	size_t i = 0;

	while (units[i].bps > 1 && (bps == 0 || bps % units[i].bps != 0))
		i++;
	snprintf(text.s, sizeof(text.s), "%" PRIu64 "%s", bps / units[i].bps, units[i].name);
	return text;
}
