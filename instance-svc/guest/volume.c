/* SPDX-License-Identifier: Apache-2.0 */
#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "folder.h"

#define VOLUMES "/volumes"

struct volume_place_text {
	char s[sizeof(VOLUMES) + 8];
};

/* Where init has it. */
static struct volume_place_text own_place(size_t number)
{
	struct volume_place_text text;

	snprintf(text.s, sizeof(text.s), VOLUMES "/%u", (unsigned)number & 0xff);
	return text;
}

static int mount_one(const struct guest_volume *volume, size_t number, struct err *err)
{
	unsigned long flags = MS_NOATIME | MS_NODEV | (volume->read_only ? MS_RDONLY : 0);
	char serial[32];
	int r;

	snprintf(serial, sizeof(serial), GUEST_DISK_VOLUME, number);
	r = disk_mount(serial, "ext4", flags, own_place(number).s, err);
	if (r == -EROFS)
		err_set(err, ERR_FAILED_PRECONDITION,
			"cannot mount the volume for %.200s read-only: it was not unmounted "
			"cleanly; mount it writable once",
			volume->path);
	else if (r < 0)
		err_prefix(err, "volume for %.200s", volume->path);
	return r < 0 ? -1 : 0;
}

int volume_mount_all(const struct guest_config *config, struct err *err)
{
	mkdir(VOLUMES, 0700);
	for (size_t i = 0; i < config->volume_count; i++) {
		if (mount_one(&config->volumes[i], i, err) < 0)
			return -1;
	}
	return 0;
}

void volume_unmount_all(const struct guest_config *config)
{
	for (size_t i = 0; i < config->volume_count; i++) {
		/* The command's mount of it may still be going away: this does not wait. */
		mount(NULL, own_place(i).s, NULL, MS_REMOUNT | MS_RDONLY, NULL);
		umount(own_place(i).s);
	}
}

int volume_take(const struct guest_config *config, struct volume_trees *ret, struct err *err)
{
	for (size_t i = 0; i < GUEST_VOLUMES_MAX; i++) {
		ret->fds[i] = -1;
		if (i >= config->volume_count)
			continue;
		ret->fds[i] = open_tree(AT_FDCWD, own_place(i).s, OPEN_TREE_CLONE | O_CLOEXEC);
		if (ret->fds[i] < 0)
			return err_sys(err, errno, "cannot mount the volume for %.200s",
				       config->volumes[i].path);
	}
	return 0;
}

static int place_one(const struct guest_volume *volume, int tree, struct err *err)
{
	int r = folder_make(volume->path);

	if (r < 0)
		return err_sys(err, r, "cannot make %.200s for its volume", volume->path);
	if (move_mount(tree, "", AT_FDCWD, volume->path,
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0)
		return err_sys(err, errno, "cannot mount the volume for %.200s", volume->path);
	return 0;
}

/* The shortest path first: what lies inside another volume comes after that. */
static size_t next_place(const struct guest_config *config, const struct volume_trees *trees)
{
	size_t next = GUEST_VOLUMES_MAX;

	for (size_t i = 0; i < config->volume_count; i++) {
		if (trees->fds[i] >= 0 &&
		    (next == GUEST_VOLUMES_MAX ||
		     strlen(config->volumes[i].path) < strlen(config->volumes[next].path)))
			next = i;
	}
	return next;
}

int volume_place(const struct guest_config *config, struct volume_trees *take_trees,
		 struct err *err)
{
	int r = 0;
	size_t i;

	while ((i = next_place(config, take_trees)) < GUEST_VOLUMES_MAX) {
		if (r == 0)
			r = place_one(&config->volumes[i], take_trees->fds[i], err);
		close(take_trees->fds[i]);
		take_trees->fds[i] = -1;
	}
	return r;
}
