/* SPDX-License-Identifier: Apache-2.0 */
#include "image_listing.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "image_ids.h"
#include "size.h"

/* One of the words ".." between slashes, in the first `length` bytes. */
static bool leaves(const char *path, size_t length)
{
	const char *end = path + length;

	while (path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t part = (size_t)((slash ? slash : end) - path);

		if (part == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += part + 1;
	}
	return false;
}

/* Behind the path of a link comes what it points at. A symbolic link may point anywhere. */
static int check_path(char type, const char *path, struct err *err)
{
	const char *arrow = type == 'l' ? strstr(path, " -> ") : NULL;
	const char *target = type == 'h' ? strstr(path, " link to ") : NULL;
	size_t length = strlen(path);

	if (arrow)
		length = (size_t)(arrow - path);
	else if (target)
		length = (size_t)(target - path);
	if (leaves(path, length))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it holds the path '%.*s', which leaves the image",
			       length < 200 ? (int)length : 200, path);
	if (target && leaves(target + strlen(" link to "), strlen(target) - strlen(" link to ")))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it holds a link to '%.200s', which leaves the image",
			       target + strlen(" link to "));
	return 0;
}

static int add_bytes(struct image_listing *listing, uint64_t bytes, struct err *err)
{
	listing->bytes += IMAGE_LISTING_ENTRY_BYTES;
	if (bytes > listing->bytes_max || listing->bytes > listing->bytes_max - bytes)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "it takes more than %s when unpacked, which is the limit",
			       SIZE_STR(listing->bytes_max));
	listing->bytes += bytes;
	return 0;
}

int image_listing_add(struct image_listing *listing, const char *line, struct err *err)
{
	unsigned long long uid, gid, size = 0;
	char amount[24], type;
	int end = 0;

	/* mode, owner/group, size (or "major,minor" of a device), date, time, path */
	if (sscanf(line, "%c%*9s %19llu/%19llu %23s %*19s %*23s%n", &type, &uid, &gid, amount,
		   &end) != 4 ||
	    line[end] != ' ')
		return err_set(err, ERR_FAILED_PRECONDITION, "it cannot be listed: '%.100s'", line);
	if (uid >= IMAGE_IDS_COUNT || gid >= IMAGE_IDS_COUNT)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "'%.200s' belongs to %llu:%llu: ids up to %d can be given",
			       line + end + 1, uid, gid, IMAGE_IDS_COUNT - 1);
	if (check_path(type, line + end + 1, err) < 0)
		return -1;
	if (type == '-' && sscanf(amount, "%19llu", &size) != 1)
		return err_set(err, ERR_FAILED_PRECONDITION, "it cannot be listed: '%.100s'", line);
	return add_bytes(listing, size, err);
}
