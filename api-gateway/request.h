/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP request as the parser left it. */

#ifndef API_GATEWAY_REQUEST_H
#define API_GATEWAY_REQUEST_H

#include <stddef.h>

#define REQUEST_HEADERS_MAX    64
#define REQUEST_HEAD_BYTES_MAX 16384

struct request_header {
	const char *name;
	const char *value;
};

/* The texts are borrowed and lie in one buffer, in this order. */
struct request {
	const char *method;
	const char *target;  /* raw; ends before the '?' */
	const char *query;   /* raw; NULL without a '?' */
	const char *version; /* "1.1" */
	size_t header_count;
	struct request_header headers[REQUEST_HEADERS_MAX];
};

/* The first header of this name (in any case), NULL if there is none. */
const char *request_header(const struct request *request, const char *name);

size_t request_count_header(const struct request *request, const char *name);

#endif
