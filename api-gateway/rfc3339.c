/* SPDX-License-Identifier: Apache-2.0 */
#include "rfc3339.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECONDS_MIN -62135596800LL /* 0001-01-01T00:00:00Z */
#define SECONDS_MAX 253402300799LL /* 9999-12-31T23:59:59Z */

int rfc3339_format(int64_t seconds, int32_t nanos, struct rfc3339_text *ret)
{
	time_t time = seconds;
	struct tm tm;
	char fraction[16] = "";

	if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos > 999999999)
		return -ERANGE;
	gmtime_r(&time, &tm);
	if (nanos % 1000000 == 0 && nanos > 0)
		snprintf(fraction, sizeof(fraction), ".%03d", nanos / 1000000);
	else if (nanos % 1000 == 0 && nanos > 0)
		snprintf(fraction, sizeof(fraction), ".%06d", nanos / 1000);
	else if (nanos > 0)
		snprintf(fraction, sizeof(fraction), ".%09d", nanos);
	snprintf(ret->s, sizeof(ret->s), "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
	return 0;
}

/* Exactly `digits` digits, moving *at past them. */
static bool read_digits(const char **at, int digits, int *ret)
{
	*ret = 0;
	for (int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*ret = *ret * 10 + (**at - '0');
	}
	return true;
}

static bool read_char(const char **at, const char *accepted)
{
	if (**at == '\0' || !strchr(accepted, **at))
		return false;
	(*at)++;
	return true;
}

static bool read_fraction(const char **at, int32_t *ret)
{
	int digits = 0;

	*ret = 0;
	if (**at != '.')
		return true;
	for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, digits++)
		*ret = digits < 9 ? *ret * 10 + (**at - '0') : *ret;
	for (int i = digits; i < 9; i++)
		*ret *= 10;
	return digits >= 1 && digits <= 9;
}

static bool read_offset(const char **at, int *ret_seconds)
{
	bool west = **at == '-';
	int hours, minutes;

	*ret_seconds = 0;
	if (read_char(at, "Zz"))
		return true;
	if (!read_char(at, "+-") || !read_digits(at, 2, &hours) || !read_char(at, ":") ||
	    !read_digits(at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_seconds = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

static bool is_in_calendar(const struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (year < 1 || tm->tm_mon < 0 || tm->tm_mon > 11 || tm->tm_mday < 1)
		return false;
	return tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap) && tm->tm_hour < 24 &&
	       tm->tm_min < 60 && tm->tm_sec < 60;
}

int rfc3339_parse(const char *text, int64_t *ret_seconds, int32_t *ret_nanos)
{
	struct tm tm = { 0 };
	int32_t nanos;
	int64_t seconds;
	int offset;

	if (!read_digits(&text, 4, &tm.tm_year) || !read_char(&text, "-") ||
	    !read_digits(&text, 2, &tm.tm_mon) || !read_char(&text, "-") ||
	    !read_digits(&text, 2, &tm.tm_mday) || !read_char(&text, "Tt ") ||
	    !read_digits(&text, 2, &tm.tm_hour) || !read_char(&text, ":") ||
	    !read_digits(&text, 2, &tm.tm_min) || !read_char(&text, ":") ||
	    !read_digits(&text, 2, &tm.tm_sec) || !read_fraction(&text, &nanos) ||
	    !read_offset(&text, &offset) || *text)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!is_in_calendar(&tm))
		return -EINVAL;
	seconds = timegm(&tm) - offset;
	if (seconds < SECONDS_MIN || seconds > SECONDS_MAX)
		return -EINVAL;
	*ret_seconds = seconds;
	*ret_nanos = nanos;
	return 0;
}
