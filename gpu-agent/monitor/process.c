/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/scoped.h"

int process_each(int (*visit)(void *context, const struct process *process), void *context)
{
	scoped_dir DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int r = 0;

	if (!proc)
		return -errno;
	while (r == 0 && (entry = readdir(proc))) {
		scoped_fd int dir = -1;

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		dir = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			continue; /* gone meanwhile */
		r = visit(context, &(struct process){ .dir = dir, .pid = entry->d_name });
	}
	return r;
}

int process_each_fd(const struct process *process,
		    int (*visit)(void *context, const struct process *process, int fds,
				 const char *name),
		    void *context)
{
	int fd = openat(process->dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *fds = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!fds)
		return -errno;
	errno = 0;
	while (r == 0 && (entry = readdir(fds))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			r = visit(context, process, dirfd(fds), entry->d_name);
		errno = 0;
	}
	return r == 0 ? -errno : r;
}

/* "7f00-7f01 rw-s 00000000 00:05 123                /dev/nvidia0" */
static bool parse_map(char *line, struct process_map *ret)
{
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64 " %n", &ret->major, &ret->minor, &ret->inode,
		   &path) != 3)
		return false;
	ret->path = path > 0 ? line + path : "";
	return ret->inode != 0;
}

int process_each_map(const struct process *process,
		     int (*visit)(void *context, const struct process_map *map), void *context)
{
	scoped_fd int fd = openat(process->dir, "maps", O_RDONLY | O_CLOEXEC);
	scoped_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	scoped_free char *line = NULL;
	struct process_map map;
	size_t size = 0;
	int r = 0;

	if (!file)
		return -errno;
	(void)TAKE_FD(fd); /* the FILE's now */
	while (r == 0 && getline(&line, &size, file) > 0)
		if (parse_map(line, &map))
			r = visit(context, &map);
	return r == 0 && ferror(file) ? -EIO : r;
}

bool process_has_ended(int error)
{
	return error == -ENOENT || error == -ESRCH;
}

/* The real uid, not the owner of /proc/PID: that is root for who cannot be dumped. */
static uint32_t read_uid(const struct process *process)
{
	scoped_fd int fd = openat(process->dir, "status", O_RDONLY | O_CLOEXEC);
	scoped_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[256];
	unsigned uid;

	if (!file)
		return UINT32_MAX;
	(void)TAKE_FD(fd); /* the FILE's now */
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Uid: %u", &uid) == 1)
			return uid;
	return UINT32_MAX;
}

void process_describe(const struct process *process, bool certain, struct op_holder *ret)
{
	scoped_fd int fd = openat(process->dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t length;

	memset(ret, 0, sizeof(*ret)); /* it crosses to another process: no stray bytes */
	ret->pid = (int32_t)strtol(process->pid, NULL, 10);
	ret->uid = read_uid(process);
	ret->certain = certain;
	length = fd < 0 ? 0 : read(fd, ret->command, sizeof(ret->command) - 1);
	if (length > 0 && ret->command[length - 1] == '\n')
		ret->command[length - 1] = '\0';
}

int process_stat(int dir, const char *name, int flags, struct statx *ret)
{
	return statx(dir, name, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, ret);
}

/* A user's FUSE refuses root, but the link can be read; one that is kept from us has neither. */
int process_stat_fd(int fds, const char *name, struct statx *ret)
{
	char link[8];
	int error;

	if (process_stat(fds, name, 0, ret) == 0)
		return 1;
	error = errno;
	if (error != EACCES && error != EPERM)
		return 0;
	return readlinkat(fds, name, link, sizeof(link)) >= 0 || errno == ENOENT ? 0 : -error;
}

bool process_is_same_node(const struct statx *a, const struct statx *b)
{
	if (S_ISCHR(a->stx_mode) && S_ISCHR(b->stx_mode))
		return a->stx_rdev_major == b->stx_rdev_major &&
		       a->stx_rdev_minor == b->stx_rdev_minor;
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}
