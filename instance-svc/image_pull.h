/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a reference to a disk: ask the registry for the digest, download, look at the layers,
 * unpack, make the disk, publish it. Each step's failure names the step and leaves nothing
 * behind. Nothing begins, and nothing goes on, without room on the disk.
 */

#ifndef INSTANCE_SVC_IMAGE_PULL_H
#define INSTANCE_SVC_IMAGE_PULL_H

#include <stdbool.h>

#include "common/err.h"
#include "image.h"
#include "image_digest.h"
#include "image_reference.h"

struct image_pull {
	const struct image_store_options *options;
	const char *work_folder;	/* for folders of work */
	const char *disks_folder;	/* where the result goes, by rename */
	const volatile bool *cancelled; /* may be NULL */
	/* Told about once a second, and at every change of phase. May be NULL. */
	void (*progress)(void *user, enum image_status phase,
			 const struct image_progress *progress);
	void *progress_user;
};

/* A disk with less free than this counts as full. */
#define IMAGE_PULL_FREE_MIN (UINT64_C(256) << 20)

/* The digest of the manifest that the registry has for this machine now. */
int image_pull_resolve(const struct image_pull *pull, const struct image_reference *reference,
		       struct image_digest *ret, struct err *err);

/*
 * Makes DISKS/<digest>.erofs and what belongs to it (image_publish.h).
 */
int image_pull_make(const struct image_pull *pull, const struct image_reference *reference,
		    const struct image_digest *digest, struct err *err);

#endif
