/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <sys/stat.h>

/* 1, 0, or -errno. A machine without the path (no /sys in a chroot) has nothing like it. */
static int is_same(const struct tree *tree, const char *path)
{
	struct stat a, b;

	if (fstat(tree->root, &a) < 0)
		return -errno;
	if (stat(path, &b) < 0)
		return errno == ENOENT ? 0 : -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int check_pair(struct host *host, const char *sysfs_root, const char *dev_root,
		      struct err *err)
{
	int real_sys = is_same(&host->sysfs, "/sys");
	int real_dev = is_same(&host->dev, "/dev");

	if (real_sys < 0 || real_dev < 0)
		return err_sys(err, real_sys < 0 ? real_sys : real_dev,
			       "cannot tell %s and %s from /sys and /dev", sysfs_root, dev_root);
	if (real_sys && !real_dev)
		return err_field(err, "dev-root",
				 "dev-root is '%s', must be /dev with the real /sys", dev_root);
	if (!real_sys && real_dev)
		return err_field(
			err, "dev-root",
			"dev-root is '%s', which is the real /dev: with sysfs-root '%s' it "
			"must be that tree's own",
			dev_root, sysfs_root);
	host->simulated = !real_sys;
	return 0;
}

int host_open(const char *sysfs_root, const char *dev_root, struct host *ret, struct err *err)
{
	struct host host = HOST_CLOSED;
	int r;

	r = tree_open(sysfs_root, &host.sysfs);
	if (r < 0) {
		err_sys(err, r, "cannot open sysfs-root %s", sysfs_root);
		goto close;
	}
	r = tree_open(dev_root, &host.dev);
	if (r < 0) {
		err_sys(err, r, "cannot open dev-root %s", dev_root);
		goto close;
	}
	if (check_pair(&host, sysfs_root, dev_root, err) < 0)
		goto close;
	*ret = host;
	return 0;
close:
	host_close(&host);
	return -1;
}

void host_close(struct host *host)
{
	tree_close(&host->sysfs);
	tree_close(&host->dev);
}
