/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of conditions on the monotonic clock, in milliseconds. */

#ifndef GPU_AGENT_SERVE_CLOCK_H
#define GPU_AGENT_SERVE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#include "common/clock.h"

/* A condition for clock_cond_wait(). */
void clock_cond_init(pthread_cond_t *condition);

/* 0 when woken, which may be for nothing, or ETIMEDOUT. */
int clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms);

#endif
