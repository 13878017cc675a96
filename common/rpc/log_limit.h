/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For lines that a peer can cause as often as it likes: five in ten seconds, then none,
 * and the next one that is printed is preceded by how many were not. One thread at a time.
 */

#ifndef COMMON_RPC_LOG_LIMIT_H
#define COMMON_RPC_LOG_LIMIT_H

#include <stdbool.h>
#include <time.h>

struct log_limit {
	time_t window; /* when it began, CLOCK_MONOTONIC */
	unsigned printed;
	unsigned left_out;
};

/* Whether the line may be printed now. */
bool log_limit_allows(struct log_limit *limit);

#endif
