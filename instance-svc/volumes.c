/* SPDX-License-Identifier: Apache-2.0 */
#include "volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/scoped.h"
#include "disks.h"
#include "id.h"
#include "resolve.h"
#include "volume_promises.h"

#define DISK_NAME   LAYOUT_VOLUME_DISK
#define RECORD_NAME "record"
#define HIDDEN	    '.' /* begins the names of what is half made or half removed */

struct entry {
	struct volume volume;
	bool ready;	  /* else it is being made */
	unsigned holders; /* who are about to attach it */
};

struct volumes {
	char *path; /* owned */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* what was being made */
	struct entry *list;	/* owned, oldest first; locked */
	size_t count;
	struct volumes_users users; /* locked */
	struct volume_promises promises;
};

static inline void volumes_unlock(struct volumes *volumes)
{
	pthread_mutex_unlock(&volumes->lock);
}
SCOPED_DEFINE(struct volumes *, volumes_unlock);

static struct volumes *locked(struct volumes *volumes)
{
	pthread_mutex_lock(&volumes->lock);
	return volumes;
}

/* Holds the lock to the end of the block. */
#define SCOPED_LOCK(volumes)                                                                       \
	scoped(volumes_unlock) struct volumes *locked_ = locked(volumes);                          \
	(void)locked_

uint64_t volumes_bytes(const struct volume *volume)
{
	return (uint64_t)volume->size_gb << 30;
}

/* ---- The files ---- */

static struct layout_path join(const char *directory, const char *name)
{
	struct layout_path path;

	snprintf(path.s, sizeof(path.s), "%s/%s", directory, name);
	return path;
}

struct layout_path volumes_disk(const struct volumes *volumes, const char *id)
{
	return join(join(volumes->path, id).s, DISK_NAME);
}

static int remove_directory(const char *path)
{
	if ((unlink(join(path, DISK_NAME).s) < 0 && errno != ENOENT) ||
	    (unlink(join(path, RECORD_NAME).s) < 0 && errno != ENOENT) || rmdir(path) < 0)
		return -errno;
	return 0;
}

static int sync_directory(const char *path)
{
	scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_record(const char *path, const struct volume *volume)
{
	scoped_fd int fd = open(join(path, RECORD_NAME).s,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[VOLUME_RECORD_MAX];
	ssize_t n;

	volume_record_format(volume, text);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n != (ssize_t)strlen(text))
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

static int fill_directory(const char *path, const struct volume *volume, struct err *err)
{
	int r;

	if (disks_make_ext4(join(path, DISK_NAME).s, volumes_bytes(volume), NULL, err) < 0)
		return -1;
	r = write_record(path, volume);
	if (r == 0)
		r = sync_directory(path);
	return r < 0 ? err_sys(err, r, "cannot write its record") : 0;
}

static int make_files(const struct volumes *volumes, const struct volume *volume, struct err *err)
{
	struct layout_path fresh = join(volumes->path, ".new-XXXXXX");
	int r;

	if (!mkdtemp(fresh.s))
		return err_sys(err, errno, "cannot make its directory");
	r = fill_directory(fresh.s, volume, err);
	if (r == 0 && (rename(fresh.s, join(volumes->path, volume->id).s) < 0 ||
		       sync_directory(volumes->path) < 0))
		r = err_sys(err, errno, "cannot publish it");
	if (r < 0)
		(void)remove_directory(fresh.s);
	return r;
}

/* ---- Opening ---- */

int volumes_promise(struct volumes *volumes, const struct volume *volume, struct err *err)
{
	if (volume_promises_make(&volumes->promises, volume->principal, volumes_bytes(volume)) < 0)
		return err_sys(err, ENOMEM, "cannot keep the volume");
	return 0;
}

static void end_promise(struct volumes *volumes, const struct volume *volume)
{
	volume_promises_end(&volumes->promises, volume->principal, volumes_bytes(volume));
}

uint64_t volumes_promised(struct volumes *volumes, const char *principal)
{
	return volume_promises_sum(&volumes->promises, principal);
}

void volumes_set_users(struct volumes *volumes, const struct volumes_users *users)
{
	SCOPED_LOCK(volumes);

	volumes->users = *users;
}

static int read_record(const struct volumes *volumes, const char *id, struct volume *ret)
{
	scoped_fd int fd = open(join(join(volumes->path, id).s, RECORD_NAME).s,
				O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[VOLUME_RECORD_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return volume_record_parse(text, id, ret);
}

static struct entry *add(struct volumes *volumes, const struct volume *volume, bool ready)
{
	struct entry *list = realloc(volumes->list, (volumes->count + 1) * sizeof(*list));

	if (!list)
		return NULL;
	volumes->list = list;
	list[volumes->count] = (struct entry){ .volume = *volume, .ready = ready };
	return &list[volumes->count++];
}

/* Of volumes. */
static int compare_age(const struct volume *x, const struct volume *y)
{
	if (x->created_ms != y->created_ms)
		return x->created_ms < y->created_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int compare_entries(const void *a, const void *b)
{
	return compare_age(&((const struct entry *)a)->volume, &((const struct entry *)b)->volume);
}

/* What cannot be read is left alone, files and all: somebody may repair it. */
static int load(struct volumes *volumes, struct err *err)
{
	scoped_dir DIR *dir = opendir(volumes->path);
	struct dirent *found;

	if (!dir)
		return err_sys(err, errno, "cannot read %s", volumes->path);
	while ((found = readdir(dir))) {
		const char *name = found->d_name;
		struct volume volume;
		int r = 0;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (name[0] == HIDDEN)
			r = remove_directory(join(volumes->path, name).s);
		else if (read_record(volumes, name, &volume) < 0)
			log_error("volume %s cannot be read: leaving it alone", name);
		else if (volumes_promise(volumes, &volume, err) < 0)
			return -1;
		else if (!add(volumes, &volume, true))
			return err_sys(err, ENOMEM, "cannot keep the volumes");
		if (r < 0)
			log_warning("cannot remove %s/%s: %s", volumes->path, name, strerror(-r));
	}
	if (volumes->count > 1)
		qsort(volumes->list, volumes->count, sizeof(*volumes->list), compare_entries);
	return 0;
}

int volumes_open(const char *directory, struct volumes **ret, struct err *err)
{
	struct volumes *volumes = calloc(1, sizeof(*volumes));

	if (!volumes)
		return err_sys(err, ENOMEM, "cannot keep the volumes");
	pthread_mutex_init(&volumes->lock, NULL);
	pthread_cond_init(&volumes->changed, NULL);
	volume_promises_init(&volumes->promises);
	volumes->path = strdup(directory);
	if (!volumes->path || load(volumes, err) < 0) {
		if (!volumes->path)
			err_sys(err, ENOMEM, "cannot keep the volumes");
		volumes_close(volumes);
		return -1;
	}
	*ret = volumes;
	return 0;
}

void volumes_close(struct volumes *volumes)
{
	if (!volumes)
		return;
	free(volumes->path);
	free(volumes->list);
	volume_promises_done(&volumes->promises);
	pthread_cond_destroy(&volumes->changed);
	pthread_mutex_destroy(&volumes->lock);
	free(volumes);
}

/* ---- Making ---- */

static struct entry *find_id(const struct volumes *volumes, const char *id)
{
	for (size_t i = 0; i < volumes->count; i++)
		if (strcmp(volumes->list[i].volume.id, id) == 0)
			return &volumes->list[i];
	return NULL;
}

static struct entry *find_request(const struct volumes *volumes, const char *request)
{
	for (size_t i = 0; *request && i < volumes->count; i++)
		if (strcmp(volumes->list[i].volume.request, request) == 0 &&
		    clock_realtime_ms() - volumes->list[i].volume.created_ms < VOLUMES_REQUEST_MS)
			return &volumes->list[i];
	return NULL;
}

static bool is_same(const struct volume *made, const struct volume *wanted)
{
	return strcmp(made->name, wanted->name) == 0 && made->size_gb == wanted->size_gb &&
	       (!wanted->id[0] || strcmp(made->id, wanted->id) == 0);
}

/* A name may be no other's id either: a request by one could mean the other. */
static int check_free(const struct volumes *volumes, const struct volume *wanted, struct err *err)
{
	for (size_t i = 0; i < volumes->count; i++) {
		const struct volume *other = &volumes->list[i].volume;

		if (strcmp(other->name, wanted->name) == 0 || strcmp(other->id, wanted->name) == 0)
			return err_set(err, ERR_NAME_TAKEN,
				       "name is '%s', which another volume has", wanted->name);
		if (wanted->id[0] &&
		    (strcmp(other->id, wanted->id) == 0 || strcmp(other->name, wanted->id) == 0))
			return err_set(err, ERR_NAME_TAKEN, "id is '%s', which another volume has",
				       wanted->id);
	}
	return 0;
}

static int admit(struct volumes *volumes, const struct volume *volume, struct err *err)
{
	const struct volumes_users *users = &volumes->users;

	if (users->admit)
		return users->admit(users->user, volume, err);
	return volumes_promise(volumes, volume, err);
}

/* Takes name, id and room: 0. Or the volume that this request made: 1. */
static int begin(struct volumes *volumes, const struct volume *wanted, struct volume *ret,
		 struct err *err)
{
	SCOPED_LOCK(volumes);
	struct volume volume = *wanted;
	struct entry *before;
	struct id id;

	while ((before = find_request(volumes, wanted->request)) && !before->ready &&
	       is_same(&before->volume, wanted))
		pthread_cond_wait(&volumes->changed, &volumes->lock);
	if (before && !is_same(&before->volume, wanted))
		return err_set(err, ERR_REQUEST_ID_REUSED,
			       "request_id was used before, for the volume '%s' of %u GB",
			       before->volume.name, before->volume.size_gb);
	if (before) {
		*ret = before->volume;
		return 1;
	}
	if (check_free(volumes, wanted, err) < 0)
		return -1;
	if (!volume.id[0]) {
		if (id_new(&id) < 0)
			return err_set(err, ERR_INTERNAL, "the kernel gives no random bytes");
		memcpy(volume.id, id.s, sizeof(id.s));
	}
	volume.created_ms = clock_realtime_ms();
	if (admit(volumes, &volume, err) < 0)
		return -1;
	if (!add(volumes, &volume, false)) {
		end_promise(volumes, &volume);
		return err_sys(err, ENOMEM, "cannot keep the volume");
	}
	*ret = volume;
	return 0;
}

static void drop(struct volumes *volumes, struct entry *entry)
{
	size_t at = (size_t)(entry - volumes->list);

	end_promise(volumes, &entry->volume);
	memmove(entry, entry + 1, (volumes->count - at - 1) * sizeof(*entry));
	volumes->count--;
}

int volumes_create(struct volumes *volumes, const struct volume *wanted, struct volume *ret,
		   struct err *err)
{
	int r = volume_check(wanted, err);

	if (r == 0)
		r = begin(volumes, wanted, ret, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	r = make_files(volumes, ret, err);

	SCOPED_LOCK(volumes);
	struct entry *entry = find_id(volumes, ret->id);

	if (r == 0)
		entry->ready = true;
	else
		drop(volumes, entry);
	pthread_cond_broadcast(&volumes->changed);
	if (r < 0)
		return err_prefix(err, "cannot make volume '%s'", ret->name);
	log_info("volume %s created: name %s, %u GB", ret->id, ret->name, ret->size_gb);
	return 0;
}

/* ---- Deleting ---- */

static int check_unused(struct volumes *volumes, const struct entry *entry, struct err *err)
{
	const struct volumes_users *users = &volumes->users;
	char name[64];

	if (entry->holders > 0)
		return err_set(err, ERR_VOLUME_IN_USE, "volume '%s' is being attached",
			       entry->volume.name);
	if (users->attached && users->attached(users->user, entry->volume.id, name))
		return err_set(err, ERR_VOLUME_IN_USE,
			       "volume '%s' is attached to instance '%s': detach it first, or "
			       "delete that instance",
			       entry->volume.name, name);
	return 0;
}

static int remove_files(struct volumes *volumes, const struct volume *volume, struct err *err)
{
	struct layout_path old;
	int r;

	snprintf(old.s, sizeof(old.s), "%s/.old-%s", volumes->path, volume->id);
	if (rename(join(volumes->path, volume->id).s, old.s) < 0 ||
	    sync_directory(volumes->path) < 0)
		return err_sys(err, errno, "cannot remove volume '%s'", volume->name);
	r = remove_directory(old.s);
	if (r < 0)
		log_warning("cannot remove %s: %s; trying again at the next start", old.s,
			    strerror(-r));
	return 0;
}

/* ---- Looking ---- */

static struct entry *find(struct volumes *volumes, const char *text, size_t prefix_min,
			  struct err *err)
{
	scoped_free struct resolve_candidate *candidates =
		calloc(volumes->count + 1, sizeof(*candidates));
	scoped_free struct entry **ready = calloc(volumes->count + 1, sizeof(*ready));
	size_t count = 0;
	int index;

	if (!candidates || !ready) {
		err_sys(err, ENOMEM, "cannot look for the volume");
		return NULL;
	}
	for (size_t i = 0; i < volumes->count; i++) {
		const struct volume *volume = &volumes->list[i].volume;

		if (!volumes->list[i].ready)
			continue;
		ready[count] = &volumes->list[i];
		candidates[count++] = (struct resolve_candidate){ volume->id, volume->name };
	}
	index = resolve(candidates, count, text, prefix_min, err);
	if (index >= 0)
		return ready[index];
	if (err->reason == ERR_INSTANCE_NOT_FOUND)
		err_set(err, ERR_VOLUME_NOT_FOUND, "no volume has the id or name '%.64s'", text);
	return NULL;
}

int volumes_find(struct volumes *volumes, const char *text, struct volume *ret, struct err *err)
{
	SCOPED_LOCK(volumes);
	const struct entry *entry = find(volumes, text, VOLUMES_PREFIX_MIN, err);

	if (!entry)
		return -1;
	*ret = entry->volume;
	return 0;
}

int volumes_hold(struct volumes *volumes, const char *text, struct volume *ret, struct err *err)
{
	SCOPED_LOCK(volumes);
	struct entry *entry = find(volumes, text, VOLUMES_PREFIX_MIN, err);

	if (!entry)
		return -1;
	entry->holders++;
	*ret = entry->volume;
	return 0;
}

void volumes_release(struct volumes *volumes, const char *id)
{
	SCOPED_LOCK(volumes);
	struct entry *entry = find_id(volumes, id);

	if (entry && entry->holders > 0)
		entry->holders--;
}

int volumes_delete(struct volumes *volumes, const char *text, struct err *err)
{
	SCOPED_LOCK(volumes);
	struct entry *entry = find(volumes, text, VOLUMES_PREFIX_MIN_DELETE, err);

	if (!entry || check_unused(volumes, entry, err) < 0 ||
	    remove_files(volumes, &entry->volume, err) < 0)
		return -1;
	log_info("volume %s: deleted", entry->volume.id);
	drop(volumes, entry);
	return 0;
}

int volumes_list(struct volumes *volumes, const struct volume *after, size_t limit,
		 struct volume **ret, size_t *ret_count, bool *ret_more, struct err *err)
{
	SCOPED_LOCK(volumes);
	struct volume *list = calloc(volumes->count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return err_sys(err, ENOMEM, "cannot list the volumes");
	*ret_more = false;
	for (size_t i = 0; i < volumes->count && !*ret_more; i++) {
		const struct volume *volume = &volumes->list[i].volume;

		if (!volumes->list[i].ready || (after && compare_age(volume, after) <= 0))
			continue;
		*ret_more = count == limit;
		if (!*ret_more)
			list[count++] = *volume;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

uint64_t volumes_usage(struct volumes *volumes)
{
	SCOPED_LOCK(volumes);
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < volumes->count; i++)
		if (lstat(volumes_disk(volumes, volumes->list[i].volume.id).s, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}
