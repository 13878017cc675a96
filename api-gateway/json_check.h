/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this JSON, strictly?
 *
 * Runs on the bytes before cJSON sees them, because cJSON takes 01, 1., duplicate keys,
 * invalid UTF-8 and raw control characters, cuts strings at \u0000 and turns 1e999 into
 * null. What passes here, cJSON reads without loss.
 *
 * Beyond RFC 8259 these are refused: duplicate keys of one object (compared after
 * unescaping), \u0000, lone surrogates, integers that a double cannot hold exactly
 * (beyond 2^53 - 1), numbers without a finite value, numbers longer than 60 characters
 * (cJSON reads 63), a byte order mark, and whatever is beyond the limits.
 */

#ifndef API_GATEWAY_JSON_CHECK_H
#define API_GATEWAY_JSON_CHECK_H

#include <stddef.h>

#include "common/err.h"

#define JSON_INTEGER_MAX 9007199254740991LL /* 2^53 - 1 */

struct json_limits {
	unsigned depth; /* arrays and objects within each other */
	size_t values;	/* values and keys in all: cJSON takes 64 bytes for each */
};

/* 0, or -1 with INVALID_ARGUMENT that names line and column. Pure. */
int json_check(const char *text, size_t length, const struct json_limits *limits, struct err *err);

#endif
