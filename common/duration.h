/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of time as clients write them: "60s", "1m30s", "500ms", "2h". */

#ifndef COMMON_DURATION_H
#define COMMON_DURATION_H

#include <stdint.h>

/*
 * Whole numbers, each with its unit: h, m, s, ms; together at most 24 h. 0, or -EINVAL
 * with *ret_ms untouched.
 */
int duration_parse(const char *text, int64_t *ret_ms);

#endif
