/* SPDX-License-Identifier: Apache-2.0 */
/* Times as milliseconds. */

#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For how long something takes. */
static inline int64_t clock_monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* Since 1970, for people. */
static inline int64_t clock_realtime_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

#endif
