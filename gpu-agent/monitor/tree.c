/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/scoped.h"

int tree_open(const char *path, struct tree *ret)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ret->root = fd;
	return 0;
}

void tree_close(struct tree *tree)
{
	if (tree->root >= 0)
		close(tree->root);
	tree->root = -1;
}

/*
 * RESOLVE_NO_XDEV: a file system mounted inside the tree is no part of it.
 *
 * EAGAIN: somebody on this machine renamed or mounted something while ".." in a link was being
 * followed, and the kernel cannot tell whether that led out. Trying again is the answer.
 */
static int open_path(const struct tree *tree, int flags, const char *path)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	do {
		fd = syscall(SYS_openat2, tree->root, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN);
	return fd < 0 ? -errno : (int)fd;
}

static int __attribute__((format(printf, 3, 0)))
open_format(const struct tree *tree, int flags, const char *format, va_list args)
{
	char path[TREE_PATH_MAX];
	int length = vsnprintf(path, sizeof(path), format, args);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	return open_path(tree, flags, path);
}

/* Every function below begins so: its own arguments, then a path to open. */
#define OPEN_ARGS(fd, tree, flags, format)                                                         \
	do {                                                                                       \
		va_list args_;                                                                     \
		va_start(args_, format);                                                           \
		(fd) = open_format(tree, flags, format, args_);                                    \
		va_end(args_);                                                                     \
	} while (0)

int tree_open_file(const struct tree *tree, int flags, const char *format, ...)
{
	int fd;

	OPEN_ARGS(fd, tree, flags, format);
	return fd;
}

int tree_exists(const struct tree *tree, const char *format, ...)
{
	scoped_fd int fd = -1;

	OPEN_ARGS(fd, tree, O_PATH | O_NOFOLLOW, format);
	if (fd >= 0)
		return 1;
	return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
}

static int read_text(int fd, char *buffer, size_t size)
{
	ssize_t length = read(fd, buffer, size - 1);

	if (length < 0)
		return -errno;
	while (length > 0 && buffer[length - 1] == '\n')
		length--;
	buffer[length] = '\0';
	return (int)length;
}

int tree_read(const struct tree *tree, char *buffer, size_t size, const char *format, ...)
{
	scoped_fd int fd = -1;

	OPEN_ARGS(fd, tree, O_RDONLY, format);
	return fd < 0 ? fd : read_text(fd, buffer, size);
}

int tree_read_number(const struct tree *tree, int64_t *ret, const char *format, ...)
{
	scoped_fd int fd = -1;
	char text[64], *end;
	long long value;
	int r;

	OPEN_ARGS(fd, tree, O_RDONLY, format);
	if (fd < 0)
		return fd;
	r = read_text(fd, text, sizeof(text));
	if (r < 0)
		return r;
	errno = 0;
	value = strtoll(text, &end, 0);
	if (end == text || *end || errno)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int read_link(int fd, char *buffer, size_t size)
{
	ssize_t length = readlinkat(fd, "", buffer, size);

	if (length < 0)
		return errno == ENOENT ? -EINVAL : -errno; /* ENOENT: there, but no link */
	if ((size_t)length >= size)
		return -ENAMETOOLONG;
	buffer[length] = '\0';
	return (int)length;
}

int tree_read_link(const struct tree *tree, char *buffer, size_t size, const char *format, ...)
{
	scoped_fd int fd = -1;

	OPEN_ARGS(fd, tree, O_PATH | O_NOFOLLOW, format);
	return fd < 0 ? fd : read_link(fd, buffer, size);
}

int tree_read_link_name(const struct tree *tree, char *buffer, size_t size, const char *format, ...)
{
	scoped_fd int fd = -1;
	char target[TREE_PATH_MAX];
	const char *name;
	int r;

	OPEN_ARGS(fd, tree, O_PATH | O_NOFOLLOW, format);
	if (fd < 0)
		return fd;
	r = read_link(fd, target, sizeof(target));
	if (r < 0)
		return r;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buffer, name);
	return (int)strlen(name);
}

int tree_write(const struct tree *tree, const char *text, const char *format, ...)
{
	scoped_fd int fd = -1;
	ssize_t written;

	OPEN_ARGS(fd, tree, O_WRONLY, format);
	if (fd < 0)
		return fd;
	written = write(fd, text, strlen(text));
	if (written < 0)
		return -errno;
	return (size_t)written == strlen(text) ? 0 : -EIO;
}

int tree_list(const struct tree *tree, DIR **ret, const char *format, ...)
{
	scoped_fd int fd = -1;
	DIR *dir;

	OPEN_ARGS(fd, tree, O_RDONLY | O_DIRECTORY, format);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd); /* the DIR's now */
	*ret = dir;
	return 0;
}
