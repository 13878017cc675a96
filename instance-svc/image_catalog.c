/* SPDX-License-Identifier: Apache-2.0 */
#include "image_catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

static inline void catalog_unlock(struct image_catalog *catalog)
{
	pthread_mutex_unlock(&catalog->lock);
}
SCOPED_DEFINE(struct image_catalog *, catalog_unlock);

static struct image_catalog *locked(struct image_catalog *catalog)
{
	pthread_mutex_lock(&catalog->lock);
	return catalog;
}

/* Holds the lock to the end of the block. */
#define SCOPED_LOCK(catalog)                                                                       \
	scoped(catalog_unlock) struct image_catalog *locked_ = locked(catalog);                    \
	(void)locked_

int image_catalog_init(struct image_catalog *catalog, const char *refs, const char *work)
{
	*catalog = (struct image_catalog){ .refs = refs, .work = work };
	return -pthread_mutex_init(&catalog->lock, NULL);
}

void image_catalog_done(struct image_catalog *catalog)
{
	for (size_t i = 0; i < catalog->count; i++)
		free(catalog->list[i]);
	free(catalog->list);
	pthread_mutex_destroy(&catalog->lock);
}

/* ---- The table ---- */

/* Where the name is, or would be. */
static size_t place(const struct image_catalog *catalog, const char *name, bool *ret_found)
{
	size_t low = 0, high = catalog->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(IMAGE_REFERENCE_STR(&catalog->list[middle]->reference), name);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct image_entry *find(const struct image_catalog *catalog,
				const struct image_reference *reference)
{
	bool found;
	size_t at = place(catalog, IMAGE_REFERENCE_STR(reference), &found);

	return found ? catalog->list[at] : NULL;
}

static struct image_entry *insert(struct image_catalog *catalog,
				  const struct image_reference *reference)
{
	struct image_entry **list = realloc(catalog->list, (catalog->count + 1) * sizeof(*list));
	struct image_entry *entry = calloc(1, sizeof(*entry));
	bool found;
	size_t at;

	if (list)
		catalog->list = list;
	if (!list || !entry) {
		free(entry);
		return NULL;
	}
	at = place(catalog, IMAGE_REFERENCE_STR(reference), &found);
	memmove(list + at + 1, list + at, (catalog->count - at) * sizeof(*list));
	list[at] = entry;
	catalog->count++;
	entry->reference = *reference;
	entry->record.created_ms = clock_realtime_ms();
	return entry;
}

static void drop(struct image_catalog *catalog, struct image_entry *entry)
{
	bool found;
	size_t at = place(catalog, IMAGE_REFERENCE_STR(&entry->reference), &found);

	memmove(catalog->list + at, catalog->list + at + 1,
		(catalog->count - at - 1) * sizeof(*catalog->list));
	catalog->count--;
	free(entry);
}

/* Drops what nobody asked for, after its pull was given up. */
static void settle(struct image_catalog *catalog, struct image_entry *entry)
{
	if (entry->waiting > 0 || entry->job || entry->recorded)
		return;
	drop(catalog, entry);
}

/* What cannot be stored is known until the next start. */
static void save(struct image_catalog *catalog, struct image_entry *entry)
{
	int r = image_record_save(catalog->refs, catalog->work, &entry->reference, &entry->record);

	if (r < 0)
		log_warning("cannot remember image '%s': %s",
			    IMAGE_REFERENCE_STR(&entry->reference), strerror(-r));
	entry->recorded = true;
}

static void tell(struct image_catalog *catalog, enum image_event event,
		 const struct image_reference *reference, const struct image_progress *progress,
		 const char *error)
{
	const struct image_reference_text text = image_reference_text(reference);
	struct image_news news = { .event = event, .reference = text.s, .error = error };

	if (progress)
		news.progress = *progress;
	if (catalog->observer.tell)
		catalog->observer.tell(catalog->observer.user, &news);
}

static void load_entry(void *user, const struct image_reference *reference,
		       const struct image_record *record)
{
	struct image_entry *entry = insert(user, reference);

	if (!entry)
		return;
	entry->record = *record;
	entry->recorded = true;
}

void image_catalog_load(struct image_catalog *catalog)
{
	SCOPED_LOCK(catalog);

	image_record_load_all(catalog->refs, load_entry, catalog);
}

/* ---- By those who want an image ---- */

int image_catalog_enter(struct image_catalog *catalog, const struct image_reference *reference,
			bool *ret_ready, struct image_digest *ret, struct err *err)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, reference);

	*ret_ready = entry && entry->record.kind == IMAGE_RECORD_READY;
	if (*ret_ready) {
		*ret = entry->record.digest;
		return 0;
	}
	if (!entry)
		entry = insert(catalog, reference);
	if (!entry)
		return err_sys(err, ENOMEM, "cannot get image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	entry->waiting++;
	return 0;
}

void image_catalog_leave(struct image_catalog *catalog, const struct image_reference *reference)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, reference);

	if (!entry || entry->waiting == 0)
		return;
	entry->waiting--;
	settle(catalog, entry);
}

int image_catalog_request(struct image_catalog *catalog, const struct image_reference *reference,
			  struct err *err)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, reference);

	if (entry && entry->record.kind == IMAGE_RECORD_READY)
		return 0;
	if (!entry)
		entry = insert(catalog, reference);
	if (!entry)
		return err_sys(err, ENOMEM, "cannot ask for image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	entry->record.kind = IMAGE_RECORD_WANTED;
	save(catalog, entry);
	return 0;
}

int image_catalog_forget(struct image_catalog *catalog, const struct image_reference *reference,
			 struct err *err)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, reference);
	int r;

	if (!entry)
		return err_set(err, ERR_IMAGE_NOT_FOUND, "there is no image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	r = image_record_remove(catalog->refs, reference);
	if (r < 0)
		return err_sys(err, r, "cannot forget image '%s'", IMAGE_REFERENCE_STR(reference));
	entry->recorded = false;
	entry->job = NULL; /* goes on to its end without an entry */
	entry->record.kind = IMAGE_RECORD_WANTED;
	tell(catalog, IMAGE_EVENT_DELETED, reference, NULL, NULL);
	settle(catalog, entry);
	return 0;
}

/* ---- By the pull ---- */

void image_catalog_begin(struct image_catalog *catalog, struct image_job *job)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, &job->reference);

	job->phase = IMAGE_PULLING;
	if (entry)
		entry->job = job;
}

void image_catalog_resolved(struct image_catalog *catalog, struct image_job *job,
			    const struct image_digest *digest)
{
	SCOPED_LOCK(catalog);

	job->digest = *digest;
}

void image_catalog_report(struct image_catalog *catalog, struct image_job *job,
			  enum image_status phase, const struct image_progress *progress)
{
	SCOPED_LOCK(catalog);
	const struct image_entry *entry = find(catalog, &job->reference);

	job->phase = phase;
	job->progress = *progress;
	if (entry && entry->job == job)
		tell(catalog, IMAGE_EVENT_PROGRESS, &job->reference, progress, NULL);
}

static void end_well(struct image_catalog *catalog, struct image_entry *entry,
		     const struct image_job *job)
{
	struct image_record *record = &entry->record;
	bool same =
		record->kind == IMAGE_RECORD_READY && strcmp(record->digest.s, job->digest.s) == 0;

	if (same)
		return;
	record->kind = IMAGE_RECORD_READY;
	record->digest = job->digest;
	save(catalog, entry);
	log_info("image '%s' is ready: %s", IMAGE_REFERENCE_STR(&entry->reference), job->digest.s);
	tell(catalog, IMAGE_EVENT_READY, &entry->reference, &job->progress, NULL);
}

static void forget_old_failures(struct image_catalog *catalog, const struct image_entry *newest)
{
	struct image_entry *oldest = NULL;
	size_t failures = 0;

	for (size_t i = 0; i < catalog->count; i++) {
		struct image_entry *entry = catalog->list[i];

		if (entry->record.kind != IMAGE_RECORD_FAILED || entry->waiting > 0 || entry->job ||
		    entry == newest)
			continue;
		failures++;
		if (!oldest || entry->record.created_ms < oldest->record.created_ms)
			oldest = entry;
	}
	if (failures < IMAGE_FAILURES_MAX)
		return;
	(void)image_record_remove(catalog->refs, &oldest->reference);
	drop(catalog, oldest);
}

static void end_badly(struct image_catalog *catalog, struct image_entry *entry,
		      const struct err *err)
{
	if (entry->record.kind == IMAGE_RECORD_READY) {
		log_warning("%s; going on with %s", err->message, entry->record.digest.s);
		return;
	}
	entry->record.kind = IMAGE_RECORD_FAILED;
	snprintf(entry->record.failure, sizeof(entry->record.failure), "%s", err->message);
	save(catalog, entry);
	tell(catalog, IMAGE_EVENT_FAILED, &entry->reference, NULL, err->message);
	forget_old_failures(catalog, entry);
}

void image_catalog_end(struct image_catalog *catalog, struct image_job *job, const struct err *err)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, &job->reference);

	if (!entry || entry->job != job)
		return;
	if (!err)
		end_well(catalog, entry, job);
	else if (err->reason != ERR_CANCELLED)
		end_badly(catalog, entry, err);
	entry->job = NULL;
	settle(catalog, entry);
}

void image_catalog_abandon(struct image_catalog *catalog, const struct image_reference *reference,
			   const struct err *err)
{
	SCOPED_LOCK(catalog);
	struct image_entry *entry = find(catalog, reference);

	if (entry && !entry->job)
		end_badly(catalog, entry, err);
}

/* ---- Looking ---- */

static void fill(const struct image_entry *entry, struct image_info *ret)
{
	const struct image_record *record = &entry->record;
	const struct image_job *job = entry->job;

	*ret = (struct image_info){ .created_ms = record->created_ms, .status = IMAGE_PENDING };
	snprintf(ret->reference, sizeof(ret->reference), "%s",
		 IMAGE_REFERENCE_STR(&entry->reference));
	if (job)
		ret->progress = job->progress;
	if (record->kind == IMAGE_RECORD_READY) {
		ret->status = IMAGE_READY;
		snprintf(ret->digest, sizeof(ret->digest), "%s", record->digest.s);
	} else if (job) {
		ret->status = job->phase;
		snprintf(ret->digest, sizeof(ret->digest), "%s", job->digest.s);
	} else if (record->kind == IMAGE_RECORD_FAILED && entry->waiting == 0) {
		ret->status = IMAGE_FAILED;
		snprintf(ret->error, sizeof(ret->error), "%s", record->failure);
	}
}

int image_catalog_describe(struct image_catalog *catalog, const struct image_reference *reference,
			   struct image_info *ret, struct err *err)
{
	SCOPED_LOCK(catalog);
	const struct image_entry *entry = find(catalog, reference);

	if (!entry)
		return err_set(err, ERR_IMAGE_NOT_FOUND, "there is no image '%s'",
			       IMAGE_REFERENCE_STR(reference));
	fill(entry, ret);
	return 0;
}

int image_catalog_list(struct image_catalog *catalog, const char *after, size_t limit,
		       struct image_info **ret, size_t *ret_count, bool *ret_more, struct err *err)
{
	SCOPED_LOCK(catalog);
	bool found;
	size_t at = place(catalog, after, &found), count;
	struct image_info *list;

	at += found;
	count = catalog->count - at < limit ? catalog->count - at : limit;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return err_sys(err, ENOMEM, "cannot list the images");
	for (size_t i = 0; i < count; i++)
		fill(catalog->list[at + i], &list[i]);
	*ret = list;
	*ret_count = count;
	*ret_more = at + count < catalog->count;
	return 0;
}

bool image_catalog_means(struct image_catalog *catalog, const struct image_digest *digest)
{
	SCOPED_LOCK(catalog);

	for (size_t i = 0; i < catalog->count; i++)
		if (catalog->list[i]->record.kind == IMAGE_RECORD_READY &&
		    strcmp(catalog->list[i]->record.digest.s, digest->s) == 0)
			return true;
	return false;
}
