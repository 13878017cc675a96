/* SPDX-License-Identifier: Apache-2.0 */
#include "catalogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool board_equal(struct board a, struct board b)
{
	return a.vendor == b.vendor && a.device == b.device &&
	       a.subsystem_vendor == b.subsystem_vendor && a.subsystem_device == b.subsystem_device;
}

static struct catalogue_type *find(const struct catalogue *catalogue, struct board board,
				   const char *id)
{
	for (size_t i = 0; i < catalogue->count; i++)
		if (board_equal(catalogue->types[i].board, board) &&
		    strcmp(catalogue->types[i].id, id) == 0)
			return &catalogue->types[i];
	return NULL;
}

const struct catalogue_type *catalogue_find(const struct catalogue *catalogue, struct board board,
					    const char *id)
{
	return find(catalogue, board, id);
}

/* An unknown value never replaces a known one. */
static bool update(int32_t *known, int32_t said, bool authoritative)
{
	if (said == OPS_UNKNOWN || said == *known || (*known != OPS_UNKNOWN && !authoritative))
		return false;
	*known = said;
	return true;
}

int catalogue_put(struct catalogue *catalogue, const struct catalogue_type *type,
		  bool authoritative)
{
	struct catalogue_type *known = find(catalogue, type->board, type->id);
	bool changed = false;

	if (!known) {
		struct catalogue_type *types =
			realloc(catalogue->types, (catalogue->count + 1) * sizeof(*types));

		if (!types)
			return -ENOMEM;
		catalogue->types = types;
		types[catalogue->count++] = *type;
		return 1;
	}
	if (authoritative && strcmp(known->name, type->name) != 0) {
		memcpy(known->name, type->name, sizeof(known->name));
		changed = true;
	}
	changed |= update(&known->framebuffer_mb, type->framebuffer_mb, authoritative);
	changed |= update(&known->max_instance, type->max_instance, authoritative);
	return changed;
}

void catalogue_done(struct catalogue *catalogue)
{
	free(catalogue->types);
	*catalogue = (struct catalogue){ 0 };
}
