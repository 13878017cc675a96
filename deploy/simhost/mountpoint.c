/* SPDX-License-Identifier: Apache-2.0 */
#include "mountpoint.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "common/log.h"
#include "common/scoped.h"

/* In mountinfo, space, tab, line feed and backslash are three octal digits. */
static void octal_decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned int value;

		if (from[0] == '\\' && sscanf(from + 1, "%3o", &value) == 1) {
			*to = (char)value;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* The path without links; dir itself may be a dead mount, which cannot be looked at. */
static int path_resolve(const char *dir, char ret_path[static PATH_MAX], struct err *err)
{
	scoped_free char *copy = strdup(dir);
	scoped_free char *parent = NULL;
	char *slash;
	size_t length = copy ? strlen(copy) : 0;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot look at '%s'", dir);
	while (length > 1 && copy[length - 1] == '/')
		copy[--length] = '\0';
	slash = strrchr(copy, '/');
	if (!slash || slash[1] == '\0')
		return err_field(err, "mount", "'%s' is no folder that can be mounted at", dir);
	*slash = '\0';
	parent = realpath(slash == copy ? "/" : copy, NULL);
	if (!parent)
		return err_sys(err, errno, "cannot find the folder that '%s' is in", dir);
	snprintf(ret_path, PATH_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1);
	return 0;
}

/* The type of the uppermost mount at path; empty if there is none. */
static int mount_find(const char *path, char *ret_type, size_t size, struct err *err)
{
	scoped_file FILE *file = fopen("/proc/self/mountinfo", "re");
	scoped_free char *line = NULL;
	size_t line_size = 0;

	ret_type[0] = '\0';
	if (!file)
		return err_sys(err, errno, "cannot read /proc/self/mountinfo");
	while (getline(&line, &line_size, file) >= 0) {
		char where[PATH_MAX], type[128];
		const char *rest = strstr(line, " - ");

		if (!rest || sscanf(rest, " - %127s", type) != 1 ||
		    sscanf(line, "%*d %*d %*s %*s %4095s", where) != 1)
			continue;
		octal_decode(where);
		if (strcmp(where, path) == 0)
			snprintf(ret_type, size, "%s", type);
	}
	return 0;
}

/* 1: something was taken away, look again; 0: free. */
static int mountpoint_free(const char *path, struct err *err)
{
	struct statfs fs; /* asks the server each time; what stat() says may be cached */
	char type[128];
	bool is_dead = statfs(path, &fs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);

	if (mount_find(path, type, sizeof(type), err) < 0)
		return -1;
	if (type[0] == '\0')
		return 0;
	if (strcmp(type, MOUNTPOINT_FSTYPE) != 0)
		return err_field(err, "mount", "'%s' is the mount point of a %s already", path,
				 type);
	if (!is_dead)
		return err_field(err, "mount", "'%s' is served by a hypeman-simhost that runs",
				 path);
	if (umount2(path, MNT_DETACH) < 0)
		return err_sys(err, errno, "cannot take away the dead mount at '%s'", path);
	log_info("took away the mount of a run that was killed, at '%s'", path);
	return 1;
}

int mountpoint_prepare(const char *dir, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (path_resolve(dir, path, err) < 0)
		return -1;
	do
		r = mountpoint_free(path, err);
	while (r > 0);
	if (r < 0)
		return -1;
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "cannot mount at '%s'", dir);
	if (!S_ISDIR(st.st_mode))
		return err_field(err, "mount", "'%s' is not a folder", dir);
	return 0;
}
