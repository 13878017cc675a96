/* SPDX-License-Identifier: Apache-2.0 */
#include "volume_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"

static bool is_text(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			return false;
	return true;
}

int volume_check(const struct volume *volume, struct err *err)
{
	if (spec_check_name(volume->name, err) < 0) {
		snprintf(err->field, sizeof(err->field), "volume.name");
		return -1;
	}
	if (volume->size_gb < 1 || volume->size_gb > VOLUME_SIZE_GB_MAX)
		return err_field(err, "volume.size_gb",
				 "size_gb is %" PRIu32 ": must be from 1 to %d", volume->size_gb,
				 VOLUME_SIZE_GB_MAX);
	if (strspn(volume->id, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(volume->id))
		return err_field(err, "volume.id",
				 "id is '%s': must be 1 to %d characters of a-z, 0-9 and '-', or "
				 "left out",
				 volume->id, VOLUME_ID_MAX);
	if (!is_text(volume->request))
		return err_field(err, "request_id", "request_id must be printable ASCII");
	return 0;
}

void volume_record_format(const struct volume *volume, char ret[VOLUME_RECORD_MAX])
{
	snprintf(ret, VOLUME_RECORD_MAX,
		 "name %s\nsize_gb %" PRIu32 "\ncreated_ms %" PRId64 "\nrequest %s\n%s%s%s",
		 volume->name, volume->size_gb, volume->created_ms, volume->request,
		 *volume->principal ? "principal " : "", volume->principal,
		 *volume->principal ? "\n" : "");
}

/* Up to the end of the line, where *text is then. */
static int read_value(const char **text, char *ret, size_t size)
{
	size_t length = strcspn(*text, "\n");

	if (length >= size)
		return -EINVAL;
	memcpy(ret, *text, length);
	ret[length] = '\0';
	*text += length;
	return 0;
}

int volume_record_parse(const char *text, const char *id, struct volume *ret)
{
	static const char principal[] = "\nprincipal ";
	struct volume volume = { 0 };
	char again[VOLUME_RECORD_MAX];
	const char *at = text;
	struct err err;
	int end = 0;

	if (strlen(id) > VOLUME_ID_MAX || *id == '\0')
		return -EINVAL;
	memcpy(volume.id, id, strlen(id) + 1);
	if (sscanf(at, "name %63s size_gb %9" SCNu32 " created_ms %19" SCNd64 " request%n",
		   volume.name, &volume.size_gb, &volume.created_ms, &end) != 3 ||
	    at[end] != ' ')
		return -EINVAL;
	at += end + 1;
	if (read_value(&at, volume.request, sizeof(volume.request)) < 0)
		return -EINVAL;
	if (strncmp(at, principal, strlen(principal)) == 0) {
		at += strlen(principal);
		if (read_value(&at, volume.principal, sizeof(volume.principal)) < 0)
			return -EINVAL;
	}
	volume_record_format(&volume, again);
	if (strcmp(again, text) != 0 || volume_check(&volume, &err) < 0)
		return -EINVAL;
	*ret = volume;
	return 0;
}
