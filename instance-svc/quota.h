/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the host one principal may have. A principal is a peer by its name in `peer`
 * ("operator"), or whom a proxy acts for ("api-gateway/alice"). Each line of the setting is
 *
 *   PRINCIPAL:WHAT=AMOUNT,...    "api-gateway/alice:instances=10,vcpus=32,memory=64GB,gpus=2"
 *
 * with "*" for all who have no line, or whose line leaves something out. An amount is
 * "unlimited", a number, or for memory and disk a size.
 */

#ifndef INSTANCE_SVC_QUOTA_H
#define INSTANCE_SVC_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "spec.h"

enum quota_kind {
	QUOTA_INSTANCES, /* in any state */
	QUOTA_VCPUS,	 /* of those that run, as the next, and GPUs */
	QUOTA_MEMORY,	 /* bytes */
	QUOTA_DISK,	 /* bytes: overlays, saved memories, volumes */
	QUOTA_GPUS,	 /* vGPUs and whole devices */
	QUOTA_COUNT,
};

#define QUOTA_UNLIMITED	    UINT64_MAX
#define QUOTA_OTHERS	    "*"
#define QUOTA_LINES_MAX	    256
#define QUOTA_ON_BEHALF_MAX 127 /* bytes of what a proxy calls its caller */
#define QUOTA_PRINCIPAL_MAX (31 + 1 + QUOTA_ON_BEHALF_MAX)

struct quota_amounts {
	uint64_t of[QUOTA_COUNT];
};

struct quota_line {
	char principal[QUOTA_PRINCIPAL_MAX + 1];
	struct quota_amounts limits;
	bool given[QUOTA_COUNT];
};

struct quotas {
	const struct quota_line *lines; /* borrowed */
	size_t count;
};

/* *err is about `quota`. */
int quota_parse(const char *text, struct quota_line *ret, struct err *err);

/* Of what neither has a limit for: QUOTA_UNLIMITED. */
struct quota_amounts quota_limits(const struct quotas *quotas, const char *principal);

/* Adds what an instance of this spec counts for. */
void quota_add(struct quota_amounts *amounts, const struct spec *spec, bool runs);

/*
 * ERR_QUOTA_EXCEEDED with what is used, what is wanted, and the limit. Nothing more of a kind
 * is always admitted, so that a lower limit takes nothing away from those who have more.
 */
int quota_admit(const struct quotas *quotas, const char *principal,
		const struct quota_amounts *used, const struct quota_amounts *wanted,
		struct err *err);

#endif
