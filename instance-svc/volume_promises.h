/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes that are promised to volumes, by whose quota they count against. Its lock is the
 * innermost of all: who counts what is promised may hold any other.
 */

#ifndef INSTANCE_SVC_VOLUME_PROMISES_H
#define INSTANCE_SVC_VOLUME_PROMISES_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "quota.h"

struct volume_promise {
	char principal[QUOTA_PRINCIPAL_MAX + 1];
	uint64_t bytes;
};

struct volume_promises {
	pthread_mutex_t lock;
	struct volume_promise *list; /* owned; one for each principal there was */
	size_t count;
};

void volume_promises_init(struct volume_promises *promises);
void volume_promises_done(struct volume_promises *promises);

/* 0 or -ENOMEM. */
int volume_promises_make(struct volume_promises *promises, const char *principal, uint64_t bytes);

/* Of what was made. */
void volume_promises_end(struct volume_promises *promises, const char *principal, uint64_t bytes);

/* To one principal, or to all (NULL). */
uint64_t volume_promises_sum(struct volume_promises *promises, const char *principal);

#endif
