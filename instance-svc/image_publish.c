/* SPDX-License-Identifier: Apache-2.0 */
#include "image_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"

struct path {
	char s[PATH_MAX];
};

/* Too long a path is cut, and then not there. */
static struct path join(const char *folder, const char *middle, const char *name)
{
	struct path path;

	if (snprintf(path.s, sizeof(path.s), "%s%s%s", folder, middle, name) >= PATH_MAX)
		path.s[0] = '\0';
	return path;
}

int image_publish_write(const char *path, const char *text, size_t length)
{
	scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

	if (fd < 0)
		return -errno;
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* The result of a jail is a stranger's too: nothing but a plain file with one name goes on. */
static int check_file(int folder, const char *name)
{
	scoped_fd int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_uid != geteuid())
		return -EINVAL;
	if (fchmod(fd, 0444) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int move(int folder, const char *name, struct path to)
{
	int r = check_file(folder, name);

	return r == 0 && renameat(folder, name, AT_FDCWD, to.s) < 0 ? -errno : r;
}

/* Neither is there when nobody looked for a kernel. */
static int move_kernel(int work, const char *disks_folder, const char *digest)
{
	const struct path base = join(disks_folder, "/", digest);
	scoped_fd int folder = -1;
	int r = move(work, "nokernel", join(base.s, "", ".nokernel"));

	if (r != -ENOENT)
		return r;
	folder = openat(work, "kernel", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return errno == ENOENT ? 0 : -errno;
	r = move(folder, "initramfs.cpio", join(base.s, "", ".initramfs"));
	return r < 0 ? r : move(folder, "vmlinuz", join(base.s, "", ".vmlinuz"));
}

int image_publish(const struct image_work *work, const char *disks_folder, const char *digest,
		  const char *config, size_t config_length)
{
	const struct path new_config = join(work->path, "/", "config.json");
	const struct path base = join(disks_folder, "/", digest);
	scoped_fd int from = open(work->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int to = open(disks_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (from < 0 || to < 0)
		return -errno;
	r = image_publish_write(new_config.s, config, config_length);
	if (r == 0)
		r = move(from, "config.json", join(base.s, "", ".json"));
	if (r == 0)
		r = move_kernel(from, disks_folder, digest);
	if (r == 0)
		r = move(from, "disk.erofs", join(base.s, "", ".erofs"));
	return r == 0 && fsync(to) < 0 ? -errno : r;
}
