/* SPDX-License-Identifier: Apache-2.0 */
#include "event_id.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCE_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
#define HEX_CHARACTERS	    "0123456789abcdef"
#define HEX_LENGTH	    16

int event_id_parse(const char *text, struct event_id *ret)
{
	size_t length = strspn(text, INSTANCE_CHARACTERS);
	const char *gpu = text + length + 1;
	struct event_id id = { 0 };

	if (length == 0 || length >= sizeof(id.instance) || text[length] != '.')
		return -EINVAL;
	if (strcmp(gpu, "-") != 0) {
		if (strspn(gpu, HEX_CHARACTERS) != HEX_LENGTH || gpu[HEX_LENGTH])
			return -EINVAL;
		id.has_gpu = true;
		id.gpu = strtoull(gpu, NULL, 16);
	}
	if (strncmp(text, "-.", 2) != 0)
		memcpy(id.instance, text, length);
	*ret = id;
	return 0;
}

void event_id_append(const struct event_id *id, struct text *to)
{
	text_append_format(to, "%s.", id->instance[0] ? id->instance : "-");
	if (id->has_gpu)
		text_append_format(to, "%016" PRIx64, id->gpu);
	else
		text_append_string(to, "-");
}

uint64_t event_id_fingerprint(const uint8_t *bytes, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}
