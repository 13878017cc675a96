/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last answer that was fetched from the services, for readers who come while nothing has
 * changed: it is given out only to those who find the services in the very state that they were
 * in before it was fetched (rpc_channel_state()), so that a reader sees every write that was
 * answered before, whoever made it. What no service counts as a change, such as how many bytes
 * a disk occupies, is at most KEPT_ANSWER_MS old.
 */

#ifndef API_GATEWAY_KEPT_ANSWER_H
#define API_GATEWAY_KEPT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/scoped.h"

#include "services.h"
#include "text.h"

#define KEPT_ANSWER_MS 1000

struct kept_answer;

struct kept_answer *kept_answer_new(void); /* NULL: out of memory */
void kept_answer_free(struct kept_answer *kept);

/* Whether there is one for this state and this time (of CLOCK_MONOTONIC); appended to *ret. */
bool kept_answer_get(struct kept_answer *kept, const struct services_state *state, int64_t now_ms,
		     struct text *ret);

/* State and time are of before the answer was fetched. */
void kept_answer_put(struct kept_answer *kept, const struct services_state *state, int64_t now_ms,
		     const struct text *answer);

#endif
