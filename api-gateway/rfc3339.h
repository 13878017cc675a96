/* SPDX-License-Identifier: Apache-2.0 */
/* Times as RFC 3339 writes them, years 1 to 9999. */

#ifndef API_GATEWAY_RFC3339_H
#define API_GATEWAY_RFC3339_H

#include <stdint.h>

struct rfc3339_text {
	char s[sizeof("2026-01-31T12:00:00.123456789Z")];
};

/* UTC, with as many groups of three decimals as needed. -ERANGE outside the years. */
int rfc3339_format(int64_t seconds, int32_t nanos, struct rfc3339_text *ret);

/* Any offset, at most nine decimals, no leap second. -EINVAL for anything else. */
int rfc3339_parse(const char *text, int64_t *ret_seconds, int32_t *ret_nanos);

#endif
