/* SPDX-License-Identifier: Apache-2.0 */
#include "image_ids.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_oci.h"

/* "name:first:count" */
static int line_parse(const char *line, const char *name, uid_t uid, uint32_t *ret_first)
{
	char owner[64], number[16];
	unsigned long long first, count;
	int end = 0;

	if (sscanf(line, "%63[^:\n]:%10llu:%10llu%n", owner, &first, &count, &end) != 3)
		return -ENOENT;
	if (line[end] != '\0' && line[end] != '\n')
		return -ENOENT;
	snprintf(number, sizeof(number), "%u", uid);
	if (strcmp(owner, name) != 0 && strcmp(owner, number) != 0)
		return -ENOENT;
	if (first == 0 || first > UINT32_MAX || count < IMAGE_IDS_COUNT ||
	    count > UINT32_MAX - first) /* what %llu makes of "-1" is refused here too */
		return -ENOENT;
	*ret_first = (uint32_t)first;
	return 0;
}

int image_ids_parse(const char *text, const char *name, uid_t uid, uint32_t *ret_first)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (line_parse(line, name, uid, ret_first) == 0)
			return 0;
	}
	return -ENOENT;
}

static int file_find(const char *path, const char *name, uint32_t *ret_first, struct err *err)
{
	scoped_free char *text = NULL;
	size_t length;

	if (image_oci_read_file(path, &text, &length, err) < 0)
		return -1;
	if (image_ids_parse(text, name, getuid(), ret_first) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s gives user %s no range of %d ids: add a line '%s:FIRST:131072'",
			       path, name, IMAGE_IDS_COUNT, name);
	return 0;
}

int image_ids_find(struct image_ids *ret, struct err *err)
{
	struct passwd entry, *found = NULL;
	struct image_ids ids;
	char buffer[4096];

	if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "uid %u is in no passwd entry, which newuidmap needs", getuid());
	if (file_find("/etc/subuid", found->pw_name, &ids.uid_first, err) < 0 ||
	    file_find("/etc/subgid", found->pw_name, &ids.gid_first, err) < 0)
		return -1;
	*ret = ids;
	return 0;
}
