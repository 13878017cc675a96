/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory tree that is the kernel's (or a simulated host's) face: /sys or /dev.
 *
 * Everything is reached through the tree's descriptor by a relative path, which openat2()
 * keeps beneath it: neither a mistake nor a symbolic link leads out. Sysfs is full of links
 * ("bus/pci/devices/X" points into "devices/"), and those are followed.
 *
 * Any call may block for ever when the kernel does: only workers use a tree. Functions return
 * 0 or a count, or -errno, and never log.
 */

#ifndef GPU_AGENT_MONITOR_TREE_H
#define GPU_AGENT_MONITOR_TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree {
	int root; /* owned; a directory, opened with O_PATH */
};

#define TREE_CLOSED ((struct tree){ .root = -1 })

/* Longer attributes than this are cut; sysfs itself ends at a page. */
#define TREE_TEXT_MAX 4096
#define TREE_PATH_MAX 512

int tree_open(const char *path, struct tree *ret);
void tree_close(struct tree *tree);

/* A descriptor that the caller owns. flags as for open(2); O_CLOEXEC is added. */
int tree_open_file(const struct tree *tree, int flags, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* 1 or 0; anything but "there is none" is an error. A last link is not followed. */
int tree_exists(const struct tree *tree, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One read(2), as sysfs attributes want it, without newlines at the end; the length. */
int tree_read(const struct tree *tree, char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A whole attribute that is a number ("0x10de", "32"). -EINVAL for anything else. */
int tree_read_number(const struct tree *tree, int64_t *ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The text of a symbolic link. -ENAMETOOLONG if it does not fit. */
int tree_read_link(const struct tree *tree, char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The last component of a symbolic link: a driver's or a group's name. */
int tree_read_link_name(const struct tree *tree, char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* One write(2) of the whole text: the kernel acts on it before the call returns. */
int tree_write(const struct tree *tree, const char *text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The caller closes *ret. "." and ".." are delivered like the rest. */
int tree_list(const struct tree *tree, DIR **ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
