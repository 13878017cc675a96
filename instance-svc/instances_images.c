/* SPDX-License-Identifier: Apache-2.0 */
/* Which instances need which images. */
#include <stdio.h>
#include <string.h>

#include "instances_internal.h"

/* Its disk, also while it is stopped; or, before the digest is known, what the name will mean. */
static bool needs(const struct instance *instance, const char *reference, const char *digest)
{
	const struct record *record = &instance->record;

	if (record->digest[0])
		return strcmp(record->digest, digest) == 0;
	return reference && record->state == STATE_INITIALIZING && !record->deleting &&
	       strcmp(instance->spec->image, reference) == 0;
}

bool instances_use_image(void *user, const char *reference, const char *digest, char name[64])
{
	struct instances *instances = user;
	SCOPED_INSTANCES_LOCK(instances);

	for (size_t i = 0; i < instances->count; i++) {
		const struct instance *instance = instances->list[i];

		if (!needs(instance, reference, digest))
			continue;
		snprintf(name, 64, "%s", instance->spec->name);
		return true;
	}
	return false;
}
