/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a store: for image.c and image_store.c only. */

#ifndef INSTANCE_SVC_IMAGE_STORE_H
#define INSTANCE_SVC_IMAGE_STORE_H

#include "image.h"
#include "image_catalog.h"
#include "image_disks.h"
#include "image_flight.h"

/*
 * The parts have locks of their own. Order: flights or disks, then users_lock, then those of
 * the users. The catalog's comes last: no other part is called while it is held.
 */
struct image_store {
	struct image_store_options options; /* its texts are owned, below */
	char *texts[5];
	char *disks_folder, *refs, *work; /* owned paths */
	struct image_flights flights;	  /* by reference */
	struct image_catalog catalog;
	struct image_disks disks;
	pthread_mutex_t users_lock; /* held while they are asked, so that they can be unset */
	struct image_users users;
};

/* Forgets a ready reference whose disk is gone, and then says so with -1. */
int image_store_check(struct image_store *store, const char *reference, const char *digest,
		      struct err *err);

#endif
