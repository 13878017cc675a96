/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "prometheus.h"

/* Methods times statuses that one route can answer; beyond it the last one counts for all. */
#define OUTCOMES_MAX 64

#define REQUESTS "hypeman_http_requests_total"
#define DURATION "hypeman_http_request_duration_seconds"

/* Claimed once by its first request, then never changed. */
struct outcome {
	atomic_uint key; /* 0: free */
	atomic_ullong count;
};

struct traffic_of_route {
	struct outcome outcomes[OUTCOMES_MAX];
	struct histogram duration;
};

static const char *const methods[] = { "other", "GET",	 "HEAD",   "POST",
				       "PUT",	"PATCH", "DELETE", "OPTIONS" };

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

struct traffic *traffic_new(struct route_table routes)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));

	if (!traffic)
		return NULL;
	traffic->routes = routes;
	traffic->of = calloc(routes.count + 1, sizeof(*traffic->of));
	if (!traffic->of) {
		free(traffic);
		return NULL;
	}
	return traffic;
}

void traffic_free(struct traffic *traffic)
{
	if (!traffic)
		return;
	free(traffic->of);
	free(traffic);
}

/* Never 0. */
static unsigned outcome_key(const char *method, int status)
{
	size_t index = METHOD_COUNT - 1;

	while (index > 0 && strcmp(methods[index], method) != 0)
		index--;
	return (unsigned)(status * (int)METHOD_COUNT + (int)index);
}

static struct outcome *find_outcome(struct traffic_of_route *of, unsigned key)
{
	for (size_t i = 0; i < OUTCOMES_MAX; i++) {
		unsigned found = 0;

		if (atomic_compare_exchange_strong(&of->outcomes[i].key, &found, key) ||
		    found == key)
			return &of->outcomes[i];
	}
	return &of->outcomes[OUTCOMES_MAX - 1];
}

void traffic_count(struct traffic *traffic, const struct route *route, const char *method,
		   int status, uint64_t duration_us)
{
	size_t index = route ? (size_t)(route - traffic->routes.routes) : traffic->routes.count;
	struct traffic_of_route *of = &traffic->of[index];
	struct outcome *outcome = find_outcome(of, outcome_key(method, status));

	atomic_fetch_add_explicit(&outcome->count, 1, memory_order_relaxed);
	histogram_add(&of->duration, duration_us);
}

static const char *pattern_of(const struct traffic *traffic, size_t i)
{
	return i < traffic->routes.count ? traffic->routes.routes[i].pattern : "";
}

static void write_requests(struct traffic *traffic, size_t i, struct text *to)
{
	for (size_t j = 0; j < OUTCOMES_MAX; j++) {
		struct outcome *outcome = &traffic->of[i].outcomes[j];
		unsigned key = atomic_load(&outcome->key);
		char status[16];

		if (key == 0)
			break;
		snprintf(status, sizeof(status), "%u", key / (unsigned)METHOD_COUNT);
		prometheus_sample(to, REQUESTS, (double)atomic_load(&outcome->count), "route",
				  pattern_of(traffic, i), "method", methods[key % METHOD_COUNT],
				  "status", status, NULL);
	}
}

void traffic_write(struct traffic *traffic, struct text *to)
{
	const struct route_table *routes = &traffic->routes;

	prometheus_family(to, REQUESTS, "counter",
			  "Requests by route pattern (empty: none fits), method and status.");
	for (size_t i = 0; i <= routes->count; i++)
		write_requests(traffic, i, to);
	prometheus_family(
		to, DURATION, "histogram",
		"Time from a request's head to its answer; of streams, to their beginning.");
	for (size_t i = 0; i <= routes->count; i++)
		histogram_write(&traffic->of[i].duration, to, DURATION, pattern_of(traffic, i),
				i < routes->count ? routes->routes[i].method : "");
	prometheus_family(to, "hypeman_http_malformed_requests_total", "counter",
			  "Requests that were no HTTP/1.1, too large a head, or too slow.");
	prometheus_sample(to, "hypeman_http_malformed_requests_total",
			  (double)atomic_load(&traffic->malformed), NULL);
	prometheus_gauge(to, "hypeman_http_connections", "Connections open now, idle ones too.",
			 atomic_load(&traffic->connections));
}
