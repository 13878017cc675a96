/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a reference for the next start: one symbolic link REFS/<reference>
 * ("/" written as "+") whose target is the record, so that it is replaced as one and never
 * half written:
 *
 *   CREATED wanted             somebody asked for it: pulled again after a start
 *   CREATED ready sha256:...   what it meant when it was last pulled
 *   CREATED failed WHY
 *
 * CREATED is in milliseconds since the epoch.
 */

#ifndef INSTANCE_SVC_IMAGE_RECORD_H
#define INSTANCE_SVC_IMAGE_RECORD_H

#include <stdint.h>

#include "common/err.h"
#include "image_digest.h"
#include "image_reference.h"

enum image_record_kind {
	IMAGE_RECORD_WANTED,
	IMAGE_RECORD_READY,
	IMAGE_RECORD_FAILED,
};

struct image_record {
	enum image_record_kind kind;
	int64_t created_ms;
	struct image_digest digest;    /* READY */
	char failure[ERR_MESSAGE_MAX]; /* FAILED, one line */
};

#define IMAGE_RECORD_TEXT_MAX (ERR_MESSAGE_MAX + 64)

/* A record as the target of its link, and back: 0, or -EINVAL with *ret untouched. Pure. */
void image_record_format(const struct image_record *record, char ret[IMAGE_RECORD_TEXT_MAX]);
int image_record_parse(const char *text, struct image_record *ret);

/* On stable storage when it returns 0; else -errno. `work` is on the same file system. */
int image_record_save(const char *refs, const char *work, const struct image_reference *reference,
		      const struct image_record *record);
int image_record_remove(const char *refs, const struct image_reference *reference);

/* Calls back for every record; those that make no sense are removed, with a warning. */
void image_record_load_all(const char *refs,
			   void (*found)(void *user, const struct image_reference *reference,
					 const struct image_record *record),
			   void *user);

#endif
