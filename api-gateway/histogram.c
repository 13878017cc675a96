/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include <stdio.h>

#include "prometheus.h"

static const uint32_t bounds_us[HISTOGRAM_BUCKETS] = {
	1000,	2500,	5000,	 10000,	  25000,   50000,    100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
};

void histogram_add(struct histogram *histogram, uint64_t duration_us)
{
	size_t i = 0;

	while (i < HISTOGRAM_BUCKETS && duration_us > bounds_us[i])
		i++;
	atomic_fetch_add_explicit(&histogram->sum_us, duration_us, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
}

void histogram_write(struct histogram *histogram, struct text *to, const char *name,
		     const char *route, const char *method)
{
	unsigned long long counts[HISTOGRAM_BUCKETS + 1], total = 0, below = 0;
	char series[96];

	for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		counts[i] = atomic_load(&histogram->buckets[i]);
		total += counts[i];
	}
	if (total == 0)
		return;
	snprintf(series, sizeof(series), "%s_bucket", name);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += counts[i];
		prometheus_sample(to, series, (double)below, "route", route, "method", method, "le",
				  prometheus_number(bounds_us[i] / 1e6).s, NULL);
	}
	prometheus_sample(to, series, (double)total, "route", route, "method", method, "le", "+Inf",
			  NULL);
	snprintf(series, sizeof(series), "%s_sum", name);
	prometheus_sample(to, series, (double)atomic_load(&histogram->sum_us) / 1e6, "route", route,
			  "method", method, NULL);
	snprintf(series, sizeof(series), "%s_count", name);
	prometheus_sample(to, series, (double)total, "route", route, "method", method, NULL);
}
