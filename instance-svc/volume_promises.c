/* SPDX-License-Identifier: Apache-2.0 */
#include "volume_promises.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void volume_promises_init(struct volume_promises *promises)
{
	*promises = (struct volume_promises){ 0 };
	pthread_mutex_init(&promises->lock, NULL);
}

void volume_promises_done(struct volume_promises *promises)
{
	free(promises->list);
	pthread_mutex_destroy(&promises->lock);
}

/* NULL when out of memory. */
static struct volume_promise *find_locked(struct volume_promises *promises, const char *principal)
{
	struct volume_promise *list;

	for (size_t i = 0; i < promises->count; i++)
		if (strcmp(promises->list[i].principal, principal) == 0)
			return &promises->list[i];
	list = realloc(promises->list, (promises->count + 1) * sizeof(*list));
	if (!list)
		return NULL;
	promises->list = list;
	list[promises->count] = (struct volume_promise){ 0 };
	snprintf(list[promises->count].principal, sizeof(list->principal), "%s", principal);
	return &list[promises->count++];
}

int volume_promises_make(struct volume_promises *promises, const char *principal, uint64_t bytes)
{
	struct volume_promise *promise;

	pthread_mutex_lock(&promises->lock);
	promise = find_locked(promises, principal);
	if (promise)
		promise->bytes += bytes;
	pthread_mutex_unlock(&promises->lock);
	return promise ? 0 : -ENOMEM;
}

void volume_promises_end(struct volume_promises *promises, const char *principal, uint64_t bytes)
{
	struct volume_promise *promise;

	pthread_mutex_lock(&promises->lock);
	promise = find_locked(promises, principal); /* there since it was made */
	if (promise)
		promise->bytes -= bytes;
	pthread_mutex_unlock(&promises->lock);
}

uint64_t volume_promises_sum(struct volume_promises *promises, const char *principal)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&promises->lock);
	for (size_t i = 0; i < promises->count; i++)
		if (!principal || strcmp(promises->list[i].principal, principal) == 0)
			bytes += promises->list[i].bytes;
	pthread_mutex_unlock(&promises->lock);
	return bytes;
}
