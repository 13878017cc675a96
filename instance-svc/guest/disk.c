/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/scoped.h"
#include "config.h"

#define IMAGE_MOUNT   "/image"
#define OVERLAY_MOUNT "/overlay"
#define UPPER	      OVERLAY_MOUNT "/upper"
#define WORK	      OVERLAY_MOUNT "/work"

#define APPEAR_TRIES   500
#define APPEAR_STEP_NS 10000000 /* 10 ms */

struct device_path {
	char s[64];
};

static bool serial_is(const char *block_device, const char *serial)
{
	char path[300], found[32] = "";
	scoped_file FILE *file = NULL;

	snprintf(path, sizeof(path), "/sys/block/%s/serial", block_device);
	file = fopen(path, "re");
	if (!file || !fgets(found, sizeof(found), file))
		return false;
	found[strcspn(found, "\n")] = '\0';
	return strcmp(found, serial) == 0;
}

static bool disk_search(const char *serial, struct device_path *ret)
{
	scoped_dir DIR *dir = opendir("/sys/block");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !serial_is(entry->d_name, serial))
			continue;
		snprintf(ret->s, sizeof(ret->s), "/dev/%.50s", entry->d_name);
		return true;
	}
	return false;
}

static int disk_find(const char *serial, struct device_path *ret, struct err *err)
{
	for (int i = 0; i < APPEAR_TRIES; i++) {
		if (disk_search(serial, ret))
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = APPEAR_STEP_NS }, NULL);
	}
	return err_set(err, ERR_NOT_FOUND, "no disk with serial \"%s\"", serial);
}

int disk_read(const char *serial, size_t size, uint8_t **ret, size_t *ret_length, struct err *err)
{
	scoped_free uint8_t *data = NULL;
	struct device_path device;
	scoped_fd int fd = -1;
	size_t length = 0;
	ssize_t n;

	if (disk_find(serial, &device, err) < 0)
		return -1;
	data = malloc(size);
	if (!data)
		return err_sys(err, -ENOMEM, "cannot read disk \"%s\"", serial);
	fd = open(device.s, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open disk \"%s\"", serial);
	while (length < size && (n = read(fd, data + length, size - length)) != 0) {
		if (n < 0)
			return err_sys(err, errno, "cannot read disk \"%s\"", serial);
		length += (size_t)n;
	}
	*ret = TAKE_PTR(data);
	*ret_length = length;
	return 0;
}

int disk_mount(const char *serial, const char *type, unsigned long flags, const char *target,
	       struct err *err)
{
	struct device_path device;
	int error;

	if (disk_find(serial, &device, err) < 0)
		return -ENODEV;
	mkdir(target, 0755);
	if (mount(device.s, target, type, flags, NULL) == 0)
		return 0;
	error = errno;
	err_sys(err, error, "cannot mount disk \"%s\" as %s", serial, type);
	return -error;
}

int disk_mount_root(struct err *err)
{
	if (disk_mount(GUEST_DISK_IMAGE, "erofs", MS_RDONLY, IMAGE_MOUNT, err) < 0)
		return -1;
	if (disk_mount(GUEST_DISK_OVERLAY, "ext4", MS_NOATIME, OVERLAY_MOUNT, err) < 0)
		return -1;
	mkdir(UPPER, 0755);
	mkdir(WORK, 0755);
	mkdir(DISK_ROOT, 0755);
	if (mount("overlay", DISK_ROOT, "overlay", 0,
		  "lowerdir=" IMAGE_MOUNT ",upperdir=" UPPER ",workdir=" WORK) < 0)
		return err_sys(err, errno, "cannot mount the overlay over the image");
	return 0;
}

void disk_unmount_root(void)
{
	/* The command's namespace goes away in its own time; this does not wait for it. */
	mount(NULL, OVERLAY_MOUNT, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	umount(DISK_ROOT);
	umount(OVERLAY_MOUNT);
	umount(IMAGE_MOUNT);
}
