/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "image_flight.h"
#include "image_ids.h"
#include "image_oci.h"
#include "image_pull.h"
#include "image_reference.h"
#include "image_work.h"
#include "strv.h"

#define DEFAULT_PULLS 2

/* Everything but the flights, which have their own lock, is fixed once it is open. */
struct image_store {
	struct image_store_options options; /* its texts are owned, below */
	char *texts[4];
	char *disks, *refs, *work; /* owned paths */
	struct image_flights flights;
};

void image_free(struct image *image)
{
	if (!image)
		return;
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

/* Opening. */

static int copy_options(struct image_store *store, const struct image_store_options *options)
{
	const char *const given[] = { options->directory, options->registries_conf,
				      options->policy_json, options->auth_file };

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
		.concurrent_pulls =
			options->concurrent_pulls > 0 ? options->concurrent_pulls : DEFAULT_PULLS,
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

	if (make_folder(directory, "disks", 0711, &store->disks, err) < 0 ||
	    make_folder(directory, "refs", 0700, &store->refs, err) < 0)
		return -1;
	return make_folder(directory, "work", 0700, &store->work, err);
}

static void store_free(struct image_store *store)
{
	for (size_t i = 0; i < sizeof(store->texts) / sizeof(store->texts[0]); i++)
		free(store->texts[i]);
	free(store->disks);
	free(store->refs);
	free(store->work);
	free(store);
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
	if (r == 0 && image_flights_init(&store->flights, store->options.concurrent_pulls) < 0)
		r = err_set(err, ERR_INTERNAL, "cannot open the image store");
	if (r < 0) {
		store_free(store);
		return -1;
	}
	if (image_ids_find(&ids, &ids_err) < 0)
		log_warning("%s; until then no image can be pulled", ids_err.message);
	image_work_sweep(store->work, &store->options);
	*ret = store;
	return 0;
}

void image_store_close(struct image_store *store)
{
	if (!store)
		return;
	image_flights_done(&store->flights);
	store_free(store);
}

/*
 * What a reference last meant. The record is the target of a link, so that it is replaced
 * as one and is never half written; one that is lost is asked for again.
 */

static int ref_path(const struct image_store *store, const struct image_reference *reference,
		    char ret[PATH_MAX])
{
	struct image_reference_text name = image_reference_text(reference);

	for (char *c = name.s; *c; c++) {
		if (*c == '/')
			*c = '+';
	}
	return snprintf(ret, PATH_MAX, "%s/%s", store->refs, name.s) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool ref_find(const struct image_store *store, const struct image_reference *reference,
		     struct image_digest *ret)
{
	char path[PATH_MAX], target[sizeof(ret->s) + 1];
	ssize_t length;

	if (ref_path(store, reference, path) < 0)
		return false;
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	if (!image_digest_is_valid(target))
		return false;
	memcpy(ret->s, target, sizeof(ret->s));
	return true;
}

static void ref_save(const struct image_store *store, const struct image_reference *reference,
		     const struct image_digest *digest)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	struct image_digest known;
	int r = ref_path(store, reference, path);

	if (r == 0 && ref_find(store, reference, &known) && strcmp(known.s, digest->s) == 0)
		return;
	if (r == 0 && snprintf(fresh, PATH_MAX, "%s/ref-%d-%lx", store->work, getpid(),
			       (unsigned long)pthread_self()) >= PATH_MAX)
		r = -ENAMETOOLONG;
	if (r == 0 && (symlink(digest->s, fresh) < 0 || rename(fresh, path) < 0))
		r = -errno;
	if (r < 0)
		log_warning("cannot remember image '%s': %s; it will be asked for again",
			    IMAGE_REFERENCE_STR(reference), strerror(-r));
}

/* Getting an image. */

static bool disk_exists(const struct image_store *store, const struct image_digest *digest)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s.erofs", store->disks, digest->s) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

static struct image_pull pull_for(const struct image_store *store, const volatile bool *cancelled)
{
	return (struct image_pull){ .options = &store->options,
				    .work_folder = store->work,
				    .disks_folder = store->disks,
				    .cancelled = cancelled };
}

/* A digest means the same for ever; a tag is asked for, and only a silent registry excuses. */
static int resolve(const struct image_store *store, const struct image_reference *reference,
		   const volatile bool *cancelled, struct image_digest *ret, struct err *err)
{
	struct image_pull pull = pull_for(store, cancelled);
	struct image_digest known;
	bool have = ref_find(store, reference, &known) && disk_exists(store, &known);

	if (have && reference->digest[0] != '\0') {
		*ret = known;
		return 0;
	}
	if (image_pull_resolve(&pull, reference, ret, err) == 0)
		return 0;
	if (!have || err->reason != ERR_UNAVAILABLE)
		return -1;
	log_warning("%s; using %s, which it was before", err->message, known.s);
	*ret = known;
	return 0;
}

struct pull_context {
	const struct image_store *store;
	struct image_reference reference;
	struct image_digest digest;
};

static int pull_work(void *context, const volatile bool *abandoned, struct err *err)
{
	const struct pull_context *wanted = context;
	struct image_pull pull = pull_for(wanted->store, abandoned);

	if (disk_exists(wanted->store, &wanted->digest))
		return 0;
	return image_pull_make(&pull, &wanted->reference, &wanted->digest, err);
}

static int pull(struct image_store *store, const struct image_reference *reference,
		const struct image_digest *digest, const volatile bool *cancelled, struct err *err)
{
	struct pull_context *context = malloc(sizeof(*context));

	if (!context)
		return err_sys(err, -ENOMEM, "cannot pull image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	*context =
		(struct pull_context){ .store = store, .reference = *reference, .digest = *digest };
	return image_flights_run(&store->flights, digest->s, pull_work, context, free, cancelled,
				 err);
}

static int load(const struct image_store *store, const struct image_reference *reference,
		const struct image_digest *digest, struct image **ret, struct err *err)
{
	scoped(image_free) struct image *image = calloc(1, sizeof(*image));
	scoped_free char *config_path = NULL, *config = NULL;
	struct stat status;
	size_t length;

	if (!image || asprintf(&image->disk_path, "%s/%s.erofs", store->disks, digest->s) < 0 ||
	    asprintf(&config_path, "%s/%s.json", store->disks, digest->s) < 0)
		return err_sys(err, -ENOMEM, "cannot load image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	image->reference = strdup(IMAGE_REFERENCE_STR(reference));
	image->digest = strdup(digest->s);
	if (!image->reference || !image->digest)
		return err_sys(err, -ENOMEM, "cannot load image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	if (stat(image->disk_path, &status) < 0)
		return err_sys(err, errno, "cannot load image '%s'", image->reference);
	image->disk_bytes = (uint64_t)status.st_size;
	if (image_oci_read_file(config_path, &config, &length, err) < 0 ||
	    image_oci_read_config(config, length, image, err) < 0)
		return err_prefix(err, "cannot load image '%s'", image->reference);
	*ret = TAKE_PTR(image);
	return 0;
}

int image_store_get(struct image_store *store, const char *text, const volatile bool *cancelled,
		    struct image **ret, struct err *err)
{
	struct image_reference reference;
	struct image_digest digest;

	if (image_reference_parse(text, "image", &reference, err) < 0 ||
	    resolve(store, &reference, cancelled, &digest, err) < 0)
		return -1;
	if (!disk_exists(store, &digest) && pull(store, &reference, &digest, cancelled, err) < 0)
		return -1;
	ref_save(store, &reference, &digest);
	return load(store, &reference, &digest, ret, err);
}

/* Usage. */

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
	ret->disks_bytes = bytes_under(store->disks);
	ret->oci_cache_bytes = bytes_under(store->work);
}
