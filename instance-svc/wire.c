/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

bool wire_set_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (copy)
		*field = copy;
	return copy != NULL;
}

bool wire_set_pair(char **name, char **value, const char *entry)
{
	const char *equals = strchr(entry, '=');

	*name = strndup(entry, (size_t)(equals - entry));
	*value = strdup(equals + 1);
	return *name && *value;
}

bool wire_set_time(Google__Protobuf__Timestamp **field, int64_t ms)
{
	Google__Protobuf__Timestamp *time = malloc(sizeof(*time));

	if (!time)
		return false;
	google__protobuf__timestamp__init(time);
	time->seconds = ms / 1000;
	time->nanos = (int32_t)(ms % 1000) * 1000000;
	*field = time;
	return true;
}
