/* SPDX-License-Identifier: Apache-2.0 */
#include "image_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scoped.h"

static const char *const words[] = {
	[IMAGE_RECORD_WANTED] = "wanted",
	[IMAGE_RECORD_READY] = "ready",
	[IMAGE_RECORD_FAILED] = "failed",
};

void image_record_format(const struct image_record *record, char ret[IMAGE_RECORD_TEXT_MAX])
{
	const char *rest = record->kind == IMAGE_RECORD_READY	 ? record->digest.s
			   : record->kind == IMAGE_RECORD_FAILED ? record->failure
								 : "";

	snprintf(ret, IMAGE_RECORD_TEXT_MAX, "%" PRId64 " %s%s%s", record->created_ms,
		 words[record->kind], *rest ? " " : "", rest);
}

static int parse_rest(const char *rest, struct image_record *record)
{
	switch (record->kind) {
	case IMAGE_RECORD_READY:
		if (!image_digest_is_valid(rest))
			return -EINVAL;
		memcpy(record->digest.s, rest, sizeof(record->digest.s));
		return 0;
	case IMAGE_RECORD_FAILED:
		if (*rest == '\0' || strlen(rest) >= sizeof(record->failure))
			return -EINVAL;
		memcpy(record->failure, rest, strlen(rest) + 1);
		return 0;
	case IMAGE_RECORD_WANTED:
		break;
	}
	return *rest ? -EINVAL : 0;
}

int image_record_parse(const char *text, struct image_record *ret)
{
	struct image_record record = { 0 };
	char again[IMAGE_RECORD_TEXT_MAX], word[8];
	int end = 0;

	if (sscanf(text, "%19" SCNd64 " %7s%n", &record.created_ms, word, &end) != 2)
		return -EINVAL;
	if (text[end] == ' ')
		end++;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) != 0)
			continue;
		record.kind = (enum image_record_kind)i;
		if (parse_rest(text + end, &record) < 0)
			return -EINVAL;
		image_record_format(&record, again);
		if (strcmp(text, again) != 0)
			return -EINVAL; /* sscanf also takes signs and more spaces */
		*ret = record;
		return 0;
	}
	return -EINVAL;
}

static int record_path(const char *refs, const struct image_reference *reference,
		       char ret[PATH_MAX])
{
	struct image_reference_text name = image_reference_text(reference);

	for (char *c = name.s; *c; c++) {
		if (*c == '/')
			*c = '+';
	}
	return snprintf(ret, PATH_MAX, "%s/%s", refs, name.s) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int sync_folder(const char *path)
{
	scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int image_record_save(const char *refs, const char *work, const struct image_reference *reference,
		      const struct image_record *record)
{
	char path[PATH_MAX], fresh[PATH_MAX], text[IMAGE_RECORD_TEXT_MAX];
	int r = record_path(refs, reference, path);

	if (r < 0 || snprintf(fresh, PATH_MAX, "%s/record", work) >= PATH_MAX)
		return -ENAMETOOLONG;
	image_record_format(record, text);
	if ((unlink(fresh) < 0 && errno != ENOENT) || symlink(text, fresh) < 0 ||
	    rename(fresh, path) < 0)
		return -errno;
	return sync_folder(refs);
}

int image_record_remove(const char *refs, const struct image_reference *reference)
{
	char path[PATH_MAX];
	int r = record_path(refs, reference, path);

	if (r < 0)
		return r;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return sync_folder(refs);
}

static int load(int directory, const char *name, struct image_reference *ret_reference,
		struct image_record *ret)
{
	char text[IMAGE_RECORD_TEXT_MAX], reference[IMAGE_REFERENCE_MAX + 1];
	ssize_t length = readlinkat(directory, name, text, sizeof(text) - 1);
	struct err err;

	if (length < 0 || strlen(name) > IMAGE_REFERENCE_MAX)
		return -EINVAL;
	text[length] = '\0';
	snprintf(reference, sizeof(reference), "%s", name);
	for (char *c = reference; *c; c++) {
		if (*c == '+')
			*c = '/';
	}
	if (image_reference_parse(reference, "image", ret_reference, &err) < 0 ||
	    strcmp(IMAGE_REFERENCE_STR(ret_reference), reference) != 0)
		return -EINVAL;
	return image_record_parse(text, ret);
}

void image_record_load_all(const char *refs,
			   void (*found)(void *user, const struct image_reference *reference,
					 const struct image_record *record),
			   void *user)
{
	scoped_dir DIR *dir = opendir(refs);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct image_reference reference;
		struct image_record record;

		if (entry->d_name[0] == '.')
			continue;
		if (load(dirfd(dir), entry->d_name, &reference, &record) == 0) {
			found(user, &reference, &record);
			continue;
		}
		log_warning("the record of an image, %s/%s, makes no sense: removing it", refs,
			    entry->d_name);
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
}
