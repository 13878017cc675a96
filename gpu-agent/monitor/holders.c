/* SPDX-License-Identifier: Apache-2.0 */
#include "holders.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* What a descriptor that holds the device looks like. */
struct target {
	const char *uuid;
	size_t node_count;
	struct statx nodes[HOLDERS_NODES_MAX];
};

enum match {
	MATCH_NONE,
	MATCH_MAYBE,
	MATCH_CERTAIN,
};

/*
 * AT_STATX_DONT_SYNC: a descriptor may be on a network or FUSE file system whose server does
 * not answer; type, device and inode are known without asking it.
 */
static int stat_quietly(int dir, const char *name, int flags, struct statx *ret)
{
	return statx(dir, name, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, ret);
}

static void add_node(struct target *target, int take_fd)
{
	scoped_fd int fd = take_fd;

	if (fd >= 0 && stat_quietly(fd, "", AT_EMPTY_PATH, &target->nodes[target->node_count]) == 0)
		target->node_count++;
}

/* The group's node, and the device's own on kernels that have those. */
static void target_init(struct target *target, const struct host *host, const struct op_mdev *mdev)
{
	scoped_dir DIR *dir = NULL;
	const struct dirent *entry;

	*target = (struct target){ .uuid = mdev->uuid };
	if (mdev->iommu_group != OPS_NO_GROUP)
		add_node(target, tree_open_file(&host->dev, O_PATH | O_NOFOLLOW, "vfio/%" PRIu32,
						mdev->iommu_group));
	if (tree_list(&host->sysfs, &dir, "bus/pci/devices/%s/%s/vfio-dev", PCI_STR(mdev->parent),
		      mdev->uuid) < 0)
		return;
	while (target->node_count < HOLDERS_NODES_MAX && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "vfio", 4) == 0)
			add_node(target, tree_open_file(&host->dev, O_PATH | O_NOFOLLOW,
							"vfio/devices/%s", entry->d_name));
}

/* A node may have another name in a container: a real one is known by its device number. */
static bool is_same_node(const struct statx *a, const struct statx *b)
{
	if (S_ISCHR(a->stx_mode) && S_ISCHR(b->stx_mode))
		return a->stx_rdev_major == b->stx_rdev_major &&
		       a->stx_rdev_minor == b->stx_rdev_minor;
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

/* A VFIO device descriptor names its device in fdinfo since Linux 6.18, for PCI at least. */
static enum match match_device(const struct target *target, int process, const char *fd)
{
	char path[64], text[TREE_TEXT_MAX];
	scoped_fd int info = -1;
	const char *device;
	ssize_t length;

	snprintf(path, sizeof(path), "fdinfo/%s", fd);
	info = openat(process, path, O_RDONLY | O_CLOEXEC);
	length = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	if (length < 0)
		return MATCH_MAYBE;
	text[length] = '\0';
	device = strstr(text, "vfio-device-syspath:");
	if (!device)
		return MATCH_MAYBE;
	return strstr(device, target->uuid) ? MATCH_CERTAIN : MATCH_NONE;
}

static enum match match_fd(const struct target *target, int process, int fds, const char *fd)
{
	char link[64];
	struct statx st;
	ssize_t length;

	if (stat_quietly(fds, fd, 0, &st) < 0)
		return MATCH_NONE; /* closed meanwhile */
	for (size_t i = 0; i < target->node_count; i++)
		if (is_same_node(&st, &target->nodes[i]))
			return MATCH_CERTAIN;
	if ((st.stx_mode & S_IFMT) != 0)
		return MATCH_NONE; /* anonymous inodes have no type */
	length = readlinkat(fds, fd, link, sizeof(link) - 1);
	if (length < 0)
		return MATCH_NONE;
	link[length] = '\0';
	if (strcmp(link, "anon_inode:[vfio-device]") != 0)
		return MATCH_NONE;
	return match_device(target, process, fd);
}

static enum match match_process(const struct target *target, int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_dir DIR *fds = fd < 0 ? NULL : fdopendir(fd);
	enum match best = MATCH_NONE;
	const struct dirent *entry;

	while (fds && best != MATCH_CERTAIN && (entry = readdir(fds))) {
		enum match match;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		match = match_fd(target, process, dirfd(fds), entry->d_name);
		if (match > best)
			best = match;
	}
	return best;
}

/* The real uid, not the owner of /proc/PID: that is root for who cannot be dumped. */
static uint32_t read_uid(int process)
{
	scoped_fd int fd = openat(process, "status", O_RDONLY | O_CLOEXEC);
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

static void describe(int process, const char *pid, enum match match, struct op_holder *ret)
{
	scoped_fd int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t length;

	memset(ret, 0, sizeof(*ret));
	ret->pid = (int32_t)strtol(pid, NULL, 10);
	ret->uid = read_uid(process);
	ret->certain = match == MATCH_CERTAIN;
	length = fd < 0 ? 0 : read(fd, ret->command, sizeof(ret->command) - 1);
	if (length > 0 && ret->command[length - 1] == '\n')
		ret->command[length - 1] = '\0';
}

/* Guesses are only worth telling when there is nothing better. */
static void drop_guesses(struct holders *holders)
{
	size_t certain = 0;

	for (size_t i = 0; i < holders->count; i++)
		if (holders->items[i].certain)
			holders->items[certain++] = holders->items[i];
	if (certain > 0)
		holders->count = certain;
}

int holders_find(const struct host *host, const struct op_mdev *mdev, struct holders *ret)
{
	scoped_dir DIR *proc = opendir("/proc");
	const struct dirent *entry;
	struct target target;
	size_t guesses = 0;

	ret->count = 0;
	if (!proc)
		return -errno;
	target_init(&target, host, mdev);
	while (ret->count < HOLDERS_MAX && (entry = readdir(proc))) {
		scoped_fd int process = -1;
		enum match match;

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		process = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (process < 0)
			continue; /* gone meanwhile */
		match = match_process(&target, process);
		if (match == MATCH_MAYBE && guesses++ >= HOLDERS_MAX / 2)
			continue; /* leave room for the one that is certain */
		if (match != MATCH_NONE)
			describe(process, entry->d_name, match, &ret->items[ret->count++]);
	}
	drop_guesses(ret);
	return 0;
}
