/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <string.h>

int resolve(const struct resolve_candidate *candidates, size_t count, const char *text,
	    size_t prefix_min, struct err *err)
{
	size_t length = strlen(text), matches = 0;
	int found = -1;

	if (length == 0)
		return err_field(err, "id",
				 "id is missing: must be an id, a name, or the "
				 "beginning of an id");
	for (size_t i = 0; i < count; i++)
		if (strcmp(candidates[i].id, text) == 0)
			return (int)i;
	for (size_t i = 0; i < count; i++)
		if (strcmp(candidates[i].name, text) == 0)
			return (int)i;
	for (size_t i = 0; length >= prefix_min && i < count; i++) {
		if (strncmp(candidates[i].id, text, length) != 0)
			continue;
		found = (int)i;
		matches++;
	}
	if (matches > 1)
		return err_set(err, ERR_AMBIGUOUS, "'%.64s' is the beginning of %zu ids: give more",
			       text, matches);
	if (matches == 0)
		return err_set(err, ERR_INSTANCE_NOT_FOUND,
			       "no instance has the id or name '%.64s'%s", text,
			       length < prefix_min ? ", and it is too short for a prefix" : "");
	return found;
}
