/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of many a request means: exact id, else exact name, else the only one whose id
 * begins so. A pure function over a list of candidates.
 */

#ifndef INSTANCE_SVC_RESOLVE_H
#define INSTANCE_SVC_RESOLVE_H

#include <stddef.h>

#include "common/err.h"

struct resolve_candidate {
	const char *id;
	const char *name;
};

/*
 * Index of the one meant, or -1 with *err: ERR_INSTANCE_NOT_FOUND or ERR_AMBIGUOUS. A
 * prefix counts from prefix_min characters on.
 */
int resolve(const struct resolve_candidate *candidates, size_t count, const char *text,
	    size_t prefix_min, struct err *err);

#endif
