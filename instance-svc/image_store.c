/* SPDX-License-Identifier: Apache-2.0 */
#include "image_store.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "image_ids.h"
#include "image_work.h"

#define DEFAULT_PULLS 2

static int copy_options(struct image_store *store, const struct image_store_options *options)
{
	const char *const given[] = { options->directory, options->registries_conf,
				      options->policy_json, options->auth_file,
				      options->guest_tools };

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		store->texts[i] = given[i] ? strdup(given[i]) : NULL;
		if (given[i] && !store->texts[i])
			return -ENOMEM;
	}
	store->options = (struct image_store_options){
		.directory = store->texts[0],
		.registries_conf = store->texts[1],
		.policy_json = store->texts[2],
		.auth_file = store->texts[3],
		.guest_tools = store->texts[4],
		.concurrent_pulls =
			options->concurrent_pulls > 0 ? options->concurrent_pulls : DEFAULT_PULLS,
		.unpacked_max =
			options->unpacked_max > 0 ? options->unpacked_max : IMAGE_UNPACKED_DEFAULT,
	};
	return 0;
}

static int make_folder(const char *directory, const char *name, mode_t mode, char **ret,
		       struct err *err)
{
	if (asprintf(ret, "%s/%s", directory, name) < 0) {
		*ret = NULL;
		return err_sys(err, -ENOMEM, "cannot open the image store");
	}
	if (mkdir(*ret, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", *ret);
	return 0;
}

/* work is closed to others: it holds the image's set-uid files, owned by our own user. */
static int make_folders(struct image_store *store, struct err *err)
{
	const char *directory = store->options.directory;

	if (make_folder(directory, "disks", 0711, &store->disks_folder, err) < 0 ||
	    make_folder(directory, "refs", 0700, &store->refs, err) < 0)
		return -1;
	return make_folder(directory, "work", 0700, &store->work, err);
}

static void store_free(struct image_store *store)
{
	for (size_t i = 0; i < sizeof(store->texts) / sizeof(store->texts[0]); i++)
		free(store->texts[i]);
	free(store->disks_folder);
	free(store->refs);
	free(store->work);
	free(store);
}

/* Those with locks; afterwards image_store_close() is the way back. */
static int init_parts(struct image_store *store)
{
	int r = image_flights_init(&store->flights, store->options.concurrent_pulls);

	if (r < 0)
		return r;
	r = image_disks_init(&store->disks, store->disks_folder);
	if (r == 0) {
		r = image_catalog_init(&store->catalog, store->refs, store->work);
		if (r < 0)
			image_disks_done(&store->disks);
	}
	if (r < 0)
		image_flights_done(&store->flights);
	else
		pthread_mutex_init(&store->users_lock, NULL);
	return r;
}

/* What was asked for goes on; what was ready and has lost its disk was never there. */
static int take_up(struct image_store *store, struct err *err)
{
	scoped_free struct image_info *list = NULL;
	size_t count;
	bool more;

	image_catalog_load(&store->catalog);
	if (image_catalog_list(&store->catalog, "", SIZE_MAX, &list, &count, &more, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct err why;
		int r = 0;

		if (list[i].status == IMAGE_PENDING)
			r = image_store_request(store, list[i].reference, &why);
		else if (list[i].status == IMAGE_READY)
			r = image_store_check(store, list[i].reference, list[i].digest, &why);
		if (r < 0)
			log_warning("%s", why.message);
	}
	return 0;
}

int image_store_open(const struct image_store_options *options, struct image_store **ret,
		     struct err *err)
{
	struct image_store *store = calloc(1, sizeof(*store));
	struct image_ids ids;
	struct err ids_err;
	int r;

	if (!store)
		return err_sys(err, -ENOMEM, "cannot open the image store");
	r = copy_options(store, options);
	if (r < 0)
		r = err_sys(err, r, "cannot open the image store");
	else
		r = make_folders(store, err);
	if (r == 0 && init_parts(store) < 0)
		r = err_set(err, ERR_INTERNAL, "cannot open the image store");
	if (r < 0) {
		store_free(store);
		return -1;
	}
	if (image_ids_find(&ids, &ids_err) < 0)
		log_warning("%s; until then no image can be pulled", ids_err.message);
	image_work_sweep(store->work, &store->options);
	if (take_up(store, err) < 0) {
		image_store_close(store);
		return -1;
	}
	*ret = store;
	return 0;
}

void image_store_interrupt(struct image_store *store)
{
	if (store)
		image_flights_drop(&store->flights, NULL);
}

void image_store_close(struct image_store *store)
{
	if (!store)
		return;
	image_store_interrupt(store);
	image_flights_done(&store->flights);
	image_catalog_done(&store->catalog);
	image_disks_done(&store->disks);
	pthread_mutex_destroy(&store->users_lock);
	store_free(store);
}

/* ---- Who needs what ---- */

void image_store_set_users(struct image_store *store, const struct image_users *users)
{
	pthread_mutex_lock(&store->users_lock);
	store->users = *users;
	pthread_mutex_unlock(&store->users_lock);
}

void image_store_set_observer(struct image_store *store, const struct image_observer *observer)
{
	pthread_mutex_lock(&store->catalog.lock);
	store->catalog.observer = *observer;
	pthread_mutex_unlock(&store->catalog.lock);
}

/* Unless all of them were asked, a disk counts as needed. */
static bool is_needed(void *user, const struct image_digest *digest)
{
	struct image_store *store = user;
	char name[64];
	bool needed;

	if (image_catalog_means(&store->catalog, digest))
		return true;
	pthread_mutex_lock(&store->users_lock);
	needed = !store->users.uses || store->users.uses(store->users.user, NULL, digest->s, name);
	pthread_mutex_unlock(&store->users_lock);
	return needed;
}

void image_store_collect(struct image_store *store)
{
	image_disks_collect(&store->disks, is_needed, store);
}

/* ---- Usage ---- */

static uint64_t bytes_under(const char *path)
{
	scoped_free char *copy = strdup(path);
	uint64_t bytes = 0;
	FTSENT *entry;
	FTS *fts;

	fts = copy ? fts_open((char *const[]){ copy, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL)
		   : NULL;
	if (!fts)
		return 0;
	while ((entry = fts_read(fts))) {
		if (entry->fts_info == FTS_F)
			bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
		/* Unpacked files come and go, and are not readable to us. */
		if (entry->fts_info == FTS_D && strcmp(entry->fts_name, "rootfs") == 0)
			fts_set(fts, entry, FTS_SKIP);
	}
	fts_close(fts);
	return bytes;
}

void image_store_usage(struct image_store *store, struct image_usage *ret)
{
	ret->disks_bytes = bytes_under(store->disks_folder);
	ret->oci_cache_bytes = bytes_under(store->work);
}
