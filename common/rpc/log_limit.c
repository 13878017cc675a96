/* SPDX-License-Identifier: Apache-2.0 */
#include "log_limit.h"

#include "common/log.h"

#define WINDOW_SECONDS 10
#define LINES	       5

bool log_limit_allows(struct log_limit *limit)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - limit->window >= WINDOW_SECONDS) {
		if (limit->left_out)
			log_warning("%u lines like the next one were left out", limit->left_out);
		*limit = (struct log_limit){ .window = now.tv_sec };
	}
	if (limit->printed == LINES) {
		limit->left_out++;
		return false;
	}
	limit->printed++;
	return true;
}
