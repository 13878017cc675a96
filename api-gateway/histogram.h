/* SPDX-License-Identifier: Apache-2.0 */
/* How long something took, counted in buckets from 1 ms to 30 s. Any thread, without locks. */

#ifndef API_GATEWAY_HISTOGRAM_H
#define API_GATEWAY_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#include "text.h"

#define HISTOGRAM_BUCKETS 14 /* and one for what took longer */

/* All zero to begin with. */
struct histogram {
	atomic_ullong buckets[HISTOGRAM_BUCKETS + 1]; /* each without those below it */
	atomic_ullong sum_us;
};

void histogram_add(struct histogram *histogram, uint64_t duration_us);

/* Appends the samples that a family `name` has for these labels; none while it is empty. */
void histogram_write(struct histogram *histogram, struct text *to, const char *name,
		     const char *route, const char *method);

#endif
