/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of disks: which are there, which are being made, which are needed. A disk that
 * somebody holds, or makes, is not removed.
 */

#ifndef INSTANCE_SVC_IMAGE_DISKS_H
#define INSTANCE_SVC_IMAGE_DISKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "image.h"
#include "image_digest.h"

struct image_hold {
	struct image_digest digest;
	unsigned count;
};

/* Digests with a count; locked by the disks' lock. */
struct image_holds {
	struct image_hold *list; /* owned */
	size_t count;
};

struct image_disks {
	const char *folder; /* borrowed */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* what is being made; monotonic clock */
	struct image_holds holds;
	struct image_holds making;
};

int image_disks_init(struct image_disks *disks, const char *folder);
void image_disks_done(struct image_disks *disks);

bool image_disks_have(const struct image_disks *disks, const struct image_digest *digest);

/* From here on the disk stays if it is there: look after this. 0, or -ENOMEM. */
int image_disks_hold(struct image_disks *disks, const struct image_digest *digest);
void image_disks_release(struct image_disks *disks, const struct image_digest *digest);

/* The right to make a disk; waits while another makes it. 0, -ECANCELED or -ENOMEM. */
int image_disks_claim(struct image_disks *disks, const struct image_digest *digest,
		      const volatile bool *cancelled);
void image_disks_unclaim(struct image_disks *disks, const struct image_digest *digest);

/* Config and path of a disk that is held. */
int image_disks_load(const struct image_disks *disks, const char *reference,
		     const struct image_digest *digest, struct image **ret, struct err *err);

/* Removes every disk that is neither held nor made nor, says the caller, needed. */
void image_disks_collect(struct image_disks *disks,
			 bool (*needed)(void *user, const struct image_digest *digest), void *user);

#endif
