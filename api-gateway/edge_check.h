/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request must keep before anybody looks at what it asks for.
 *
 * civetweb 1.15 reads some requests differently from the proxy that may stand before it
 * (it stops at the 65th header or at a folded line, takes "Content-Length: 0x20" as 0,
 * and lets Content-Length and Transfer-Encoding stand together), which lets a second
 * request be smuggled in the body of the first. All of that is refused, and the
 * connection closed.
 */

#ifndef API_GATEWAY_EDGE_CHECK_H
#define API_GATEWAY_EDGE_CHECK_H

#include <stdbool.h>

#include "common/err.h"

#include "request.h"

/*
 * That the texts of the request cover all bytes of its head, with nothing between them
 * but what RFC 9112 puts there: whatever the parser skipped, someone else may have read.
 */
int edge_check_layout(const struct request *request, struct err *err);

/* That the length of the body is said once and in one way, and Host exactly once. */
int edge_check_framing(const struct request *request, struct err *err);

/*
 * That a web page elsewhere cannot drive us: an Origin must be our own, and without
 * authentication Host must name the loopback interface (against DNS rebinding).
 */
int edge_check_caller(const struct request *request, bool has_auth, struct err *err);

#endif
