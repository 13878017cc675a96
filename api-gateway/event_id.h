/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of GET /events: what has been seen of each service, "<event of instance-svc>.<state of
 * gpu-agent>". The latter is a fingerprint, for what is shown of GPUs is always the whole
 * state: who has seen the present one has missed nothing. "-" stands for nothing seen yet.
 */

#ifndef API_GATEWAY_EVENT_ID_H
#define API_GATEWAY_EVENT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct event_id {
	char instance[64]; /* as instance-svc gave it; empty: nothing */
	bool has_gpu;
	uint64_t gpu;
};

/* -EINVAL, with *ret untouched, for what event_id_append() has not written. */
int event_id_parse(const char *text, struct event_id *ret);
void event_id_append(const struct event_id *id, struct text *to);

/* Of a state's bytes (FNV-1a). */
uint64_t event_id_fingerprint(const uint8_t *bytes, size_t length);

#endif
