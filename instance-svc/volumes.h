/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that outlive instances: sparse ext4 files of a fixed size.
 *
 *   STATE/volumes/ID/disk.img  the file system
 *   STATE/volumes/ID/record    what it is (volume_record.h)
 *
 * A volume's directory is made under another name and renamed when it is whole; it is renamed
 * before it is removed. So a kill leaves a volume or nothing, and what is half made or half
 * removed goes away at the next start.
 *
 * Who is attached is not known here: those who use volumes are asked, with the lock held.
 * They may call nothing here under a lock of theirs but volumes_promise() and
 * volumes_promised(), and hold a volume from its look-up until they say that it is attached.
 *
 * Thread safe.
 */

#ifndef INSTANCE_SVC_VOLUMES_H
#define INSTANCE_SVC_VOLUMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "layout.h"
#include "volume_record.h"

#define VOLUMES_PREFIX_MIN	  4
#define VOLUMES_PREFIX_MIN_DELETE 8
#define VOLUMES_REQUEST_MS	  (INT64_C(24) * 3600 * 1000) /* how long a request is remembered */

struct volumes;

/* The directory exists and is ours; one of us uses it at a time. */
int volumes_open(const char *directory, struct volumes **ret, struct err *err);
void volumes_close(struct volumes *volumes); /* NULL is fine */

struct volumes_users {
	/* Admits one more and calls volumes_promise() at once, or refuses. */
	int (*admit)(void *user, const struct volume *volume, struct err *err);

	/* Whether somebody is attached, and the name of one. */
	bool (*attached)(void *user, const char *id, char name[64]);
	void *user;
};
void volumes_set_users(struct volumes *volumes, const struct volumes_users *users);

/*
 * Makes a volume; with the same request again, gives the one that was made. The id may be
 * empty: one is made. ERR_INVALID_ARGUMENT, ERR_NAME_TAKEN, ERR_REQUEST_ID_REUSED, or what
 * admit() says. Takes a moment.
 */
int volumes_create(struct volumes *volumes, const struct volume *wanted, struct volume *ret,
		   struct err *err);

/* By id, name, or prefix of an id: ERR_VOLUME_NOT_FOUND, ERR_AMBIGUOUS. */
int volumes_find(struct volumes *volumes, const char *text, struct volume *ret, struct err *err);

/* The same; it is not removed until it is let go. */
int volumes_hold(struct volumes *volumes, const char *text, struct volume *ret, struct err *err);
void volumes_release(struct volumes *volumes, const char *id);

/* Oldest first, those younger than `after` (NULL: all). Caller frees. */
int volumes_list(struct volumes *volumes, const struct volume *after, size_t limit,
		 struct volume **ret, size_t *ret_count, bool *ret_more, struct err *err);

/* ERR_VOLUME_NOT_FOUND; ERR_VOLUME_IN_USE names an instance. */
int volumes_delete(struct volumes *volumes, const char *text, struct err *err);

struct layout_path volumes_disk(const struct volumes *volumes, const char *id);

/* What is promised, also to volumes that are being made, to one principal or to all (NULL). */
int volumes_promise(struct volumes *volumes, const struct volume *volume, struct err *err);
uint64_t volumes_promised(struct volumes *volumes, const char *principal);

uint64_t volumes_bytes(const struct volume *volume);

/* Bytes on disk. */
uint64_t volumes_usage(struct volumes *volumes);

#endif
