/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path and query of a request target. Both are taken apart before anything is
 * decoded, so that an encoded '/' or '&' is never mistaken for a separator.
 */

#ifndef API_GATEWAY_URL_H
#define API_GATEWAY_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define URL_PATH_BYTES_MAX 1024
#define URL_SEGMENTS_MAX   8

/* "/instances/vm%2d1": "instances" and "vm-1". */
struct url_path {
	char bytes[URL_PATH_BYTES_MAX]; /* the segments, decoded */
	size_t count;
	const char *segments[URL_SEGMENTS_MAX]; /* into bytes */
};

/*
 * INVALID_ARGUMENT for what no client has a reason to send: bad percent escapes, bytes
 * that are no UTF-8, control characters, "." and ".." segments (encoded too), too long
 * a path. NOT_FOUND for more segments than any route has.
 */
int url_path_parse(const char *path, struct url_path *ret, struct err *err);

struct url_pair {
	char name[64];
	char value[1024];
};

/*
 * The next name=value of a query; *at moves behind it. '+' is a space. 1, 0 at the end,
 * or -1 with *err.
 */
int url_query_next(const char **at, struct url_pair *ret, struct err *err);

#endif
