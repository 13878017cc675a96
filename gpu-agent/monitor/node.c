/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define UDEV_QUEUE     "/run/udev/queue" /* exists while udevd has events to handle */
#define SETTLE_MS      2000
#define SETTLE_STEP_MS 50

/* /proc's link to an O_PATH descriptor, for calls that refuse the descriptor itself. */
struct fd_path {
	char s[32];
};

static struct fd_path fd_path(const struct node *node)
{
	struct fd_path path;

	snprintf(path.s, sizeof(path.s), "/proc/self/fd/%d", node->fd);
	return path;
}

static mode_t granted_mode(gid_t gid)
{
	return gid == 0 ? 0600 : 0660;
}

/* "243:12" of /sys/class/vfio/N/dev */
static int check_real(const struct host *host, uint32_t group, const struct stat *st)
{
	char text[32];
	unsigned major, minor;
	int r;

	r = tree_read(&host->sysfs, text, sizeof(text), "class/vfio/%" PRIu32 "/dev", group);
	if (r < 0)
		return r;
	if (sscanf(text, "%u:%u", &major, &minor) != 2 || !S_ISCHR(st->st_mode) ||
	    st->st_rdev != makedev(major, minor))
		return -EBADF;
	return 0;
}

int node_open(const struct host *host, uint32_t group, struct node *ret)
{
	scoped_fd int fd = tree_open_file(&host->dev, O_PATH | O_NOFOLLOW, "vfio/%" PRIu32, group);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!host->simulated)
		r = check_real(host, group, &st);
	else if (!S_ISREG(st.st_mode))
		r = -EBADF;
	if (r < 0)
		return r;
	ret->fd = TAKE_FD(fd);
	return 0;
}

void node_close(struct node *node)
{
	if (node->fd >= 0)
		close(node->fd);
	node->fd = -1;
}

/* Owner first: then the mode and the list are root's to change, without CAP_FOWNER. */
int node_grant(const struct node *node, gid_t gid)
{
	if (fchownat(node->fd, "", 0, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	if (removexattr(fd_path(node).s, "system.posix_acl_access") < 0 && errno != ENODATA &&
	    errno != EOPNOTSUPP)
		return -errno;
	if (chmod(fd_path(node).s, granted_mode(gid)) < 0)
		return -errno;
	return 0;
}

int node_is_granted(const struct node *node, gid_t gid)
{
	struct stat st;

	if (fstat(node->fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || st.st_gid != gid || (st.st_mode & 07777) != granted_mode(gid))
		return 0;
	if (getxattr(fd_path(node).s, "system.posix_acl_access", NULL, 0) >= 0)
		return 0;
	return errno == ENODATA || errno == EOPNOTSUPP ? 1 : -errno;
}

int node_claim(const struct node *node)
{
	int fd = open(fd_path(node).s, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void node_settle(const struct host *host)
{
	const struct timespec step = { .tv_nsec = SETTLE_STEP_MS * 1000000L };

	if (host->simulated)
		return; /* udev does not know of these nodes */
	for (int waited = 0; waited < SETTLE_MS; waited += SETTLE_STEP_MS) {
		nanosleep(&step, NULL);
		if (access(UDEV_QUEUE, F_OK) < 0)
			return;
	}
}
