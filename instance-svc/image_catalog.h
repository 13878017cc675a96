/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The references that are known, in memory and in their records: what each means, and how
 * far its pull is. An entry is there while it has a record, a pull, or somebody who waits.
 */

#ifndef INSTANCE_SVC_IMAGE_CATALOG_H
#define INSTANCE_SVC_IMAGE_CATALOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "image.h"
#include "image_record.h"
#include "image_reference.h"

#define IMAGE_FAILURES_MAX 256 /* that are remembered: the oldest are forgotten first */

/* One pull, of the thread that does it. What it says of itself is locked by the catalog. */
struct image_job {
	struct image_reference reference;
	enum image_status phase; /* PULLING, CONVERTING */
	struct image_progress progress;
	struct image_digest digest; /* empty: not known yet */
};

struct image_entry {
	struct image_reference reference;
	struct image_record record;
	unsigned waiting;      /* callers who need it now */
	bool recorded;	       /* there is a record on disk */
	struct image_job *job; /* borrowed; NULL: none has begun */
};

struct image_catalog {
	const char *refs, *work; /* borrowed paths */
	pthread_mutex_t lock;
	struct image_entry **list; /* owned, sorted by name; locked */
	size_t count;
	struct image_observer observer; /* locked */
};

int image_catalog_init(struct image_catalog *catalog, const char *refs, const char *work);
void image_catalog_done(struct image_catalog *catalog);

/* Reads the records. Those that are wanted are listed as PENDING: their pull is to go on. */
void image_catalog_load(struct image_catalog *catalog);

/* ---- By those who want an image ---- */

/* True with the digest when it is ready. Otherwise it is awaited until image_catalog_leave(). */
int image_catalog_enter(struct image_catalog *catalog, const struct image_reference *reference,
			bool *ret_ready, struct image_digest *ret, struct err *err);
void image_catalog_leave(struct image_catalog *catalog, const struct image_reference *reference);

/* Records that it is wanted, unless it is ready. */
int image_catalog_request(struct image_catalog *catalog, const struct image_reference *reference,
			  struct err *err);

/* After a request whose pull could not begin: it failed. */
void image_catalog_abandon(struct image_catalog *catalog, const struct image_reference *reference,
			   const struct err *err);

/* Removes the record. Its digest, if it was ready, stays to be collected. */
int image_catalog_forget(struct image_catalog *catalog, const struct image_reference *reference,
			 struct err *err);

/* ---- By the pull ---- */

void image_catalog_begin(struct image_catalog *catalog, struct image_job *job);
void image_catalog_resolved(struct image_catalog *catalog, struct image_job *job,
			    const struct image_digest *digest);
void image_catalog_report(struct image_catalog *catalog, struct image_job *job,
			  enum image_status phase, const struct image_progress *progress);

/* The end: err is NULL for success; ERR_CANCELLED changes no record. */
void image_catalog_end(struct image_catalog *catalog, struct image_job *job, const struct err *err);

/* ---- Looking ---- */

/* Without queue_position. ERR_IMAGE_NOT_FOUND. */
int image_catalog_describe(struct image_catalog *catalog, const struct image_reference *reference,
			   struct image_info *ret, struct err *err);

/* As image_store_list(). */
int image_catalog_list(struct image_catalog *catalog, const char *after, size_t limit,
		       struct image_info **ret, size_t *ret_count, bool *ret_more, struct err *err);

/* Whether a reference means this digest. */
bool image_catalog_means(struct image_catalog *catalog, const struct image_digest *digest);

#endif
