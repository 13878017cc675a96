/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence that refuses a value: which field, which value, what would be accepted. */

#ifndef API_GATEWAY_FIELD_ERROR_H
#define API_GATEWAY_FIELD_ERROR_H

#include "common/err.h"

#include "field_table.h"

struct field_quote {
	char s[64];
};

/* 'text', cut to 40 bytes, control characters replaced. */
struct field_quote field_quote(const char *text);

/* "vcpus is 'four', must be a whole number from 0 to 4294967295". Returns -1. */
int field_error(const struct field *field, const char *name, const char *found, struct err *err);

#endif
