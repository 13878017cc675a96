/* SPDX-License-Identifier: Apache-2.0 */
#include "root.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/scoped.h"
#include "config.h"
#include "disk.h"
#include "volume.h"

#define SAFE (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static const struct {
	const char *target, *type, *options;
	unsigned long flags;
	mode_t mode;   /* of the folder, where the image has none */
	bool optional; /* a kernel may lack it */
} mounts[] = {
	{ "/proc", "proc", NULL, SAFE, 0555 },
	{ "/sys", "sysfs", NULL, SAFE, 0555 },
	{ "/dev", "devtmpfs", "mode=0755", MS_NOSUID | MS_NOEXEC, 0755 },
	{ "/dev/pts", "devpts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, 0755 },
	{ "/dev/shm", "tmpfs", "mode=1777", SAFE, 01777 },
	{ "/dev/mqueue", "mqueue", NULL, SAFE, 01777, true },
	{ "/sys/fs/cgroup", "cgroup2", NULL, SAFE, 0, true },
	{ "/run", "tmpfs", "mode=0755", MS_NOSUID | MS_NODEV, 0755 },
	{ "/tmp", NULL, NULL, 0, 01777 }, /* on the overlay: only made to exist */
};

static const struct {
	const char *target, *link;
} links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

/* As switch_root does, so that the kernel does not take the command for chrooted. */
static int root_switch(struct err *err)
{
	if (chdir(DISK_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_sys(err, errno, "cannot switch to the image's root");
	return 0;
}

static int mount_one(size_t i, struct err *err)
{
	const char *target = mounts[i].target, *type = mounts[i].type;

	if (mounts[i].mode && mkdir(target, mounts[i].mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", target);
	if (!type || mount(type, target, type, mounts[i].flags, mounts[i].options) == 0)
		return 0;
	if (mounts[i].optional && (errno == ENODEV || errno == ENOENT))
		return 0;
	return err_sys(err, errno, "cannot mount %s", target);
}

static int root_mount(struct err *err)
{
	umask(0);
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		if (mount_one(i, err) < 0)
			return -1;
	}
	umask(022);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlink(links[i].target, links[i].link) < 0 && errno != EEXIST)
			return err_sys(err, errno, "cannot make %s", links[i].link);
	}
	return 0;
}

/* Replaces the image's file or link, as Docker's mounts over these files would hide it. */
static int file_write(const char *path, const char *text, struct err *err)
{
	scoped_file FILE *file = NULL;

	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot replace %s", path);
	file = fopen(path, "wex");
	if (!file || fputs(text, file) == EOF || fflush(file) == EOF)
		return err_sys(err, errno, "cannot write %s", path);
	return 0;
}

static int hostname_write(const struct guest_config *config, struct err *err)
{
	const char *hostname = config->hostname;
	char own[INET_ADDRSTRLEN] = "127.0.1.1", text[512];

	if (hostname[0] != '\0' && sethostname(hostname, strlen(hostname)) < 0)
		return err_sys(err, errno, "cannot set the hostname to '%s'", hostname);
	if (config->has_network)
		inet_ntop(AF_INET, &config->ip, own, sizeof(own));
	snprintf(text, sizeof(text),
		 "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	if (hostname[0] != '\0')
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\t%s\n", own,
			 hostname);
	if (file_write("/etc/hosts", text, err) < 0)
		return -1;
	snprintf(text, sizeof(text), "%s\n", hostname);
	return hostname[0] == '\0' ? 0 : file_write("/etc/hostname", text, err);
}

static int dns_write(const struct guest_config *config, struct err *err)
{
	char text[GUEST_DNS_MAX * 64] = "", address[INET_ADDRSTRLEN];

	if (config->dns_count == 0)
		return 0;
	for (size_t i = 0; i < config->dns_count; i++) {
		inet_ntop(AF_INET, &config->dns[i], address, sizeof(address));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "nameserver %s\n",
			 address);
	}
	return file_write("/etc/resolv.conf", text, err);
}

int root_enter(const struct guest_config *config, struct err *err)
{
	struct volume_trees volumes;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, errno, "cannot make a mount namespace");
	if (volume_take(config, &volumes, err) < 0 || root_switch(err) < 0 || root_mount(err) < 0 ||
	    volume_place(config, &volumes, err) < 0)
		return -1;
	if (mkdir("/etc", 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make /etc");
	if (hostname_write(config, err) < 0)
		return -1;
	return dns_write(config, err);
}
