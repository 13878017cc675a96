/* SPDX-License-Identifier: Apache-2.0 */
#include "image_disks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "image_oci.h"

#define LOOK_EVERY_NS 50000000 /* at the caller's cancellation */

int image_disks_init(struct image_disks *disks, const char *folder)
{
	pthread_condattr_t attributes;
	int r;

	*disks = (struct image_disks){ .folder = folder };
	r = -pthread_mutex_init(&disks->lock, NULL);
	if (r < 0)
		return r;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	r = -pthread_cond_init(&disks->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (r < 0)
		pthread_mutex_destroy(&disks->lock);
	return r;
}

void image_disks_done(struct image_disks *disks)
{
	free(disks->holds.list);
	free(disks->making.list);
	pthread_cond_destroy(&disks->changed);
	pthread_mutex_destroy(&disks->lock);
}

/* ---- Counted digests ---- */

static struct image_hold *find(const struct image_holds *holds, const struct image_digest *digest)
{
	for (size_t i = 0; i < holds->count; i++)
		if (strcmp(holds->list[i].digest.s, digest->s) == 0)
			return &holds->list[i];
	return NULL;
}

static int add(struct image_holds *holds, const struct image_digest *digest)
{
	struct image_hold *hold = find(holds, digest), *list;

	if (hold) {
		hold->count++;
		return 0;
	}
	list = realloc(holds->list, (holds->count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	holds->list = list;
	list[holds->count++] = (struct image_hold){ *digest, 1 };
	return 0;
}

static void take_away(struct image_holds *holds, const struct image_digest *digest)
{
	struct image_hold *hold = find(holds, digest);

	if (hold && --hold->count == 0)
		*hold = holds->list[--holds->count];
}

int image_disks_hold(struct image_disks *disks, const struct image_digest *digest)
{
	int r;

	pthread_mutex_lock(&disks->lock);
	r = add(&disks->holds, digest);
	pthread_mutex_unlock(&disks->lock);
	return r;
}

void image_disks_release(struct image_disks *disks, const struct image_digest *digest)
{
	pthread_mutex_lock(&disks->lock);
	take_away(&disks->holds, digest);
	pthread_mutex_unlock(&disks->lock);
}

static void wait_briefly_locked(struct image_disks *disks)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_EVERY_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&disks->changed, &disks->lock, &until);
}

int image_disks_claim(struct image_disks *disks, const struct image_digest *digest,
		      const volatile bool *cancelled)
{
	int r = 0;

	pthread_mutex_lock(&disks->lock);
	while (r == 0 && find(&disks->making, digest)) {
		wait_briefly_locked(disks);
		if (cancelled && __atomic_load_n(cancelled, __ATOMIC_RELAXED))
			r = -ECANCELED;
	}
	if (r == 0)
		r = add(&disks->making, digest);
	pthread_mutex_unlock(&disks->lock);
	return r;
}

void image_disks_unclaim(struct image_disks *disks, const struct image_digest *digest)
{
	pthread_mutex_lock(&disks->lock);
	take_away(&disks->making, digest);
	pthread_cond_broadcast(&disks->changed);
	pthread_mutex_unlock(&disks->lock);
}

/* ---- The files ---- */

bool image_disks_have(const struct image_disks *disks, const struct image_digest *digest)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s.erofs", disks->folder, digest->s) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

static int fill(const struct image_disks *disks, const char *reference,
		const struct image_digest *digest, struct image *image, struct err *err)
{
	scoped_free char *config_path = NULL, *config = NULL;
	struct stat status;
	size_t length;

	image->reference = strdup(reference);
	image->digest = strdup(digest->s);
	if (!image->reference || !image->digest ||
	    asprintf(&image->disk_path, "%s/%s.erofs", disks->folder, digest->s) < 0 ||
	    asprintf(&config_path, "%s/%s.json", disks->folder, digest->s) < 0)
		return err_sys(err, ENOMEM, "no memory");
	if (stat(image->disk_path, &status) < 0)
		return errno == ENOENT
			       ? err_set(err, ERR_NOT_FOUND, "the disk of %s is gone", digest->s)
			       : err_sys(err, errno, "cannot look at its disk");
	image->disk_bytes = (uint64_t)status.st_size;
	if (image_oci_read_file(config_path, &config, &length, err) < 0)
		return -1;
	return image_oci_read_config(config, length, image, err);
}

int image_disks_load(const struct image_disks *disks, const char *reference,
		     const struct image_digest *digest, struct image **ret, struct err *err)
{
	scoped(image_free) struct image *image = calloc(1, sizeof(*image));

	if (!image)
		return err_sys(err, ENOMEM, "cannot load image '%s'", reference);
	if (fill(disks, reference, digest, image, err) < 0)
		return err_prefix(err, "cannot load image '%s'", reference);
	*ret = TAKE_PTR(image);
	return 0;
}

/* What there may be of one digest; the disk first: the rest is nothing without it. */
static const char *const suffixes[] = { ".erofs", ".json", ".vmlinuz", ".initramfs", ".nokernel" };

#define SUFFIX_COUNT (sizeof(suffixes) / sizeof(suffixes[0]))

static void remove_disk(int folder, const struct image_digest *digest)
{
	for (size_t i = 0; i < SUFFIX_COUNT; i++) {
		char name[sizeof(digest->s) + sizeof(".initramfs")];

		snprintf(name, sizeof(name), "%s%s", digest->s, suffixes[i]);
		if (unlinkat(folder, name, 0) == 0) {
			if (i == 0)
				log_info("image %s: disk removed", digest->s);
		} else if (errno != ENOENT) {
			log_warning("cannot remove %s of the images' disks: %s", name,
				    strerror(errno));
		}
	}
}

/* The files of one digest are looked at as one. */
static bool read_name(const char *name, struct image_digest *ret)
{
	size_t length = strcspn(name, "."), suffix = 0;

	while (suffix < SUFFIX_COUNT && strcmp(name + length, suffixes[suffix]) != 0)
		suffix++;
	if (length >= sizeof(ret->s) || suffix == SUFFIX_COUNT)
		return false;
	memcpy(ret->s, name, length);
	ret->s[length] = '\0';
	return image_digest_is_valid(ret->s);
}

void image_disks_collect(struct image_disks *disks,
			 bool (*needed)(void *user, const struct image_digest *digest), void *user)
{
	scoped_dir DIR *dir = opendir(disks->folder);
	struct dirent *entry;

	pthread_mutex_lock(&disks->lock);
	while (dir && (entry = readdir(dir))) {
		struct image_digest digest;

		if (!read_name(entry->d_name, &digest) || find(&disks->holds, &digest) ||
		    find(&disks->making, &digest) || needed(user, &digest))
			continue;
		remove_disk(dirfd(dir), &digest);
	}
	pthread_mutex_unlock(&disks->lock);
}
