/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: what the gateway counted, and what the services say when they are asked.
 *
 * Readers share the asking (single_flight.h). A service that does not answer in time is
 * hypeman_backend_up 0, and its families have no samples: a gap, never an old value.
 */

#ifndef API_GATEWAY_METRICS_H
#define API_GATEWAY_METRICS_H

#include <stdatomic.h>

#include "common/err.h"
#include "common/scoped.h"

#include "field_table.h"
#include "scrape.h"
#include "services.h"
#include "text.h"
#include "traffic.h"

struct metrics;

/* What is shown; all outlive it. */
struct metrics_sources {
	const struct services *services;
	struct traffic *traffic;
	const atomic_uint *streams; /* open now */
	unsigned streams_max;
};

/* NULL with *err. */
struct metrics *metrics_new(const struct metrics_sources *sources, struct field_table *fields,
			    struct err *err);
void metrics_free(struct metrics *metrics);
SCOPED_DEFINE(struct metrics *, metrics_free);

/* Appends the whole text. Ends in time also when no service answers. */
int metrics_run(struct metrics *metrics, struct text *ret, struct err *err);

/* Appends the families of a scrape. */
void metrics_write_scrape(const struct metrics *metrics, const struct scrape *scrape,
			  struct text *to);

#endif
