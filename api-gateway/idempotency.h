/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header Idempotency-Key: the service that owns what is created remembers the key, as
 * the request_id of its RPC, so that this works across gateways and restarts of them.
 */

#ifndef API_GATEWAY_IDEMPOTENCY_H
#define API_GATEWAY_IDEMPOTENCY_H

#include "common/err.h"

#include "request.h"

struct idempotency_id {
	char s[37]; /* a UUID; empty: the request has no key */
};

/*
 * A UUID of caller, method, path and key: those of two callers never meet.
 * INVALID_ARGUMENT unless the key is 1 to 255 printable characters, given once.
 */
int idempotency_read(const struct request *request, const char *caller, struct idempotency_id *ret,
		     struct err *err);

#endif
