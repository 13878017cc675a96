/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers who ask for the same thing at the same time share one fetch.
 *
 * The rule: a read is answered by a fetch that began after the read arrived. So nobody
 * sees state older than a write that was answered before they asked, whoever made that
 * write, and no fetch is ever reused later.
 */

#ifndef API_GATEWAY_SINGLE_FLIGHT_H
#define API_GATEWAY_SINGLE_FLIGHT_H

#include "common/err.h"
#include "common/scoped.h"

#include "text.h"

struct single_flight;

/* Produces the answer within timeout_ms. Runs in one of the readers' threads, one at a time. */
typedef int (*single_flight_fetch)(void *user, int timeout_ms, struct text *ret, struct err *err);

/* NULL: out of memory. */
struct single_flight *single_flight_new(single_flight_fetch fetch, void *user);
void single_flight_free(struct single_flight *flight);

/*
 * Appends the answer to *ret, or fails as the fetch did; UNAVAILABLE when timeout_ms
 * pass in waiting for fetches of others.
 */
int single_flight_read(struct single_flight *flight, int timeout_ms, struct text *ret,
		       struct err *err);

#endif
