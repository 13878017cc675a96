/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes as people write them: "512MB", "1GB", "2G", "1048576". Units are powers of 1024
 * (B, K, M, G, T, each but B with an optional "B" or "iB"), in either case.
 */

#ifndef INSTANCE_SVC_SIZE_H
#define INSTANCE_SVC_SIZE_H

#include <stdint.h>

struct size_text {
	char s[32];
};

/*
 * Digits, at most one space, a unit or none. Returns 0, -EINVAL for another form, or
 * -ERANGE beyond INT64_MAX bytes; *ret_bytes is untouched on failure.
 */
int size_parse(const char *text, uint64_t *ret_bytes);

/* The largest unit that divides evenly: 1536 MiB is "1536MB", 2048 MiB is "2GB". */
struct size_text size_text(uint64_t bytes);

#define SIZE_STR(bytes) (size_text(bytes).s)

#endif
