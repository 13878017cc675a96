/* SPDX-License-Identifier: Apache-2.0 */
/* An answer before it is written: status, JSON body, and the headers that vary. */

#ifndef API_GATEWAY_RESPONSE_H
#define API_GATEWAY_RESPONSE_H

#include <stdbool.h>

#include "common/err.h"

#include "text.h"

struct response {
	int status;
	struct text body;	  /* owned; empty: none */
	const char *content_type; /* of the body; NULL: JSON */
	const char *policy;	  /* Content-Security-Policy; NULL: none */
	char allow[64];		  /* of Allow; empty: none */
	bool retry_later;	  /* may go away by itself: Retry-After */
	bool never_retry;	  /* x-should-retry: false */
	bool challenge;		  /* WWW-Authenticate */
};

void response_done(struct response *response);

/* {"code", "message", "details"}, and the status that reasons.def gives the reason. */
void response_set_problem(struct response *response, const struct err *err);

/* The head, with the empty line. `close` says what happens to the connection. */
void response_write_head(const struct response *response, bool close, struct text *to);

#endif
