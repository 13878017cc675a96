/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "image_kernel.h"
#include "image_pull.h"
#include "image_reference.h"
#include "image_store.h"
#include "strv.h"

static struct image_digest digest_from(const char *valid)
{
	struct image_digest digest;

	snprintf(digest.s, sizeof(digest.s), "%s", valid);
	return digest;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	if (image->store) {
		const struct image_digest digest = digest_from(image->digest);

		image_disks_release(&image->store->disks, &digest);
	}
	free(image->reference);
	free(image->digest);
	free(image->disk_path);
	strv_free(image->entrypoint);
	strv_free(image->cmd);
	strv_free(image->env);
	free(image->user);
	free(image->working_dir);
	free(image);
}

/* ---- One pull ---- */

struct pull {
	struct image_store *store;
	struct image_job job;
};

static void pull_progress(void *user, enum image_status phase,
			  const struct image_progress *progress)
{
	struct pull *pull = user;

	image_catalog_report(&pull->store->catalog, &pull->job, phase, progress);
}

/* Resolves and makes the disk, if it is not here. The digest is claimed when it returns 0. */
static int pull_disk(struct pull *pull, const volatile bool *abandoned,
		     struct image_digest *ret_digest, struct err *err)
{
	struct image_store *store = pull->store;
	const struct image_reference *reference = &pull->job.reference;
	const struct image_pull how = { .options = &store->options,
					.work_folder = store->work,
					.disks_folder = store->disks_folder,
					.cancelled = abandoned,
					.progress = pull_progress,
					.progress_user = pull };
	int r;

	if (image_pull_resolve(&how, reference, ret_digest, err) < 0)
		return -1;
	image_catalog_resolved(&store->catalog, &pull->job, ret_digest);
	r = image_disks_claim(&store->disks, ret_digest, abandoned);
	if (r < 0)
		return r == -ECANCELED ? err_set(err, ERR_CANCELLED, "the pull was cancelled")
				       : err_sys(err, r, "cannot pull image '%s'",
						 IMAGE_REFERENCE_STR(reference));
	if (image_disks_have(&store->disks, ret_digest) ||
	    image_pull_make(&how, reference, ret_digest, err) == 0)
		return 0;
	image_disks_unclaim(&store->disks, ret_digest);
	return -1;
}

static int pull_work(void *context, const volatile bool *abandoned, struct err *err)
{
	struct pull *pull = context;
	struct image_store *store = pull->store;
	struct image_digest digest;
	int r;

	image_catalog_begin(&store->catalog, &pull->job);
	r = pull_disk(pull, abandoned, &digest, err);
	image_catalog_end(&store->catalog, &pull->job, r < 0 ? err : NULL);
	if (r == 0)
		image_disks_unclaim(&store->disks, &digest);
	/* A tag may mean another image now. */
	image_store_collect(store);
	return r;
}

static struct pull *pull_new(struct image_store *store, const struct image_reference *reference,
			     struct err *err)
{
	struct pull *pull = calloc(1, sizeof(*pull));

	if (!pull) {
		err_sys(err, ENOMEM, "cannot pull image '%s'", IMAGE_REFERENCE_STR(reference));
		return NULL;
	}
	pull->store = store;
	pull->job.reference = *reference;
	return pull;
}

/* ---- Getting an image ---- */

/* Held from here on; ERR_NOT_FOUND when its disk is gone. */
static int load(struct image_store *store, const char *reference, const struct image_digest *digest,
		struct image **ret, struct err *err)
{
	int r = image_disks_hold(&store->disks, digest);

	if (r < 0)
		return err_sys(err, r, "cannot load image '%s'", reference);
	if (image_disks_load(&store->disks, reference, digest, ret, err) < 0) {
		image_disks_release(&store->disks, digest);
		return -1;
	}
	(*ret)->store = store;
	return 0;
}

static int pull_and_wait(struct image_store *store, const struct image_reference *reference,
			 const volatile bool *cancelled, struct err *err)
{
	struct pull *pull = pull_new(store, reference, err);

	if (!pull)
		return -1;
	return image_flights_run(&store->flights, IMAGE_REFERENCE_STR(reference), pull_work, pull,
				 free, cancelled, err);
}

int image_store_check(struct image_store *store, const char *text, const char *digest_text,
		      struct err *err)
{
	const struct image_digest digest = digest_from(digest_text);
	struct image_reference reference;

	if (image_reference_parse(text, "image", &reference, err) < 0)
		return -1;
	if (image_disks_have(&store->disks, &digest))
		return 0;
	if (image_catalog_forget(&store->catalog, &reference, err) < 0)
		return -1;
	return err_set(err, ERR_NOT_FOUND, "image '%s' has lost its disk %s: forgetting it", text,
		       digest_text);
}

/* Until it is held: what was ready may be deleted before that. */
static int get(struct image_store *store, const struct image_reference *reference,
	       const volatile bool *cancelled, struct image **ret, struct err *err)
{
	const struct image_reference_text text = image_reference_text(reference);
	struct image_digest digest;
	bool ready;

	for (;;) {
		int r;

		if (image_catalog_enter(&store->catalog, reference, &ready, &digest, err) < 0)
			return -1;
		if (!ready) {
			r = pull_and_wait(store, reference, cancelled, err);
			image_catalog_leave(&store->catalog, reference);
			if (r < 0)
				return -1;
			continue;
		}
		if (load(store, text.s, &digest, ret, err) == 0)
			return 0;
		if (err->reason != ERR_NOT_FOUND)
			return -1;
		(void)image_store_check(store, text.s, digest.s, err);
	}
}

int image_store_get(struct image_store *store, const char *text, const volatile bool *cancelled,
		    struct image **ret, struct err *err)
{
	struct image_reference reference;

	if (image_reference_parse(text, "image", &reference, err) < 0)
		return -1;
	return get(store, &reference, cancelled, ret, err);
}

int image_store_load(struct image_store *store, const char *reference, const char *digest_text,
		     struct image **ret, struct err *err)
{
	const struct image_digest digest = digest_from(digest_text);

	return load(store, reference, &digest, ret, err);
}

int image_store_check_kernel(struct image_store *store, const char *reference, struct err *err)
{
	struct kernel_paths paths;
	struct image_info info;
	char disk[PATH_MAX];
	struct err unknown;

	if (image_store_describe(store, reference, &info, &unknown) < 0 ||
	    info.status != IMAGE_READY)
		return 0;
	snprintf(disk, sizeof(disk), "%s/%s.erofs", store->disks_folder, info.digest);
	return image_kernel_find(info.reference, disk, &paths, err);
}

/* ---- The list ---- */

int image_store_request(struct image_store *store, const char *text, struct err *err)
{
	struct image_reference reference;
	struct image_info info;
	struct pull *pull;

	if (image_reference_parse(text, "image", &reference, err) < 0)
		return -1;
	if (reference.digest[0] != '\0' &&
	    image_catalog_describe(&store->catalog, &reference, &info, err) == 0 &&
	    info.status == IMAGE_READY)
		return 0; /* a digest means the same for ever */
	pull = pull_new(store, &reference, err);
	if (!pull)
		return -1;
	if (image_catalog_request(&store->catalog, &reference, err) < 0) {
		free(pull);
		return -1;
	}
	if (image_flights_keep(&store->flights, IMAGE_REFERENCE_STR(&reference), pull_work, pull,
			       free, err) == 0)
		return 0;
	image_catalog_abandon(&store->catalog, &reference, err);
	return -1;
}

int image_store_describe(struct image_store *store, const char *text, struct image_info *ret,
			 struct err *err)
{
	struct image_reference reference;

	if (image_reference_parse(text, "name", &reference, err) < 0 ||
	    image_catalog_describe(&store->catalog, &reference, ret, err) < 0)
		return -1;
	if (ret->status == IMAGE_PENDING)
		ret->queue_position = image_flights_position(&store->flights, ret->reference);
	return 0;
}

int image_store_list(struct image_store *store, const char *after, size_t limit,
		     struct image_info **ret, size_t *ret_count, bool *ret_more, struct err *err)
{
	if (image_catalog_list(&store->catalog, after, limit, ret, ret_count, ret_more, err) < 0)
		return -1;
	for (size_t i = 0; i < *ret_count; i++)
		if ((*ret)[i].status == IMAGE_PENDING)
			(*ret)[i].queue_position =
				image_flights_position(&store->flights, (*ret)[i].reference);
	return 0;
}

int image_store_delete(struct image_store *store, const char *text, struct err *err)
{
	struct image_reference reference;
	struct image_info info;
	char name[64];
	bool used;

	if (image_reference_parse(text, "name", &reference, err) < 0 ||
	    image_catalog_describe(&store->catalog, &reference, &info, err) < 0)
		return -1;
	pthread_mutex_lock(&store->users_lock);
	used = store->users.uses &&
	       store->users.uses(store->users.user, info.reference, info.digest, name);
	pthread_mutex_unlock(&store->users_lock);
	if (used)
		return err_set(err, ERR_IMAGE_IN_USE,
			       "image '%s' is needed by instance '%s': delete that first",
			       info.reference, name);
	if (image_catalog_forget(&store->catalog, &reference, err) < 0)
		return -1;
	image_flights_drop(&store->flights, info.reference);
	image_store_collect(store);
	log_info("image '%s': deleted", info.reference);
	return 0;
}
