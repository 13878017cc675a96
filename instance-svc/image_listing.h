/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a layer holds, as GNU tar lists it: looked at before anything of it is unpacked, so
 * that a layer that would fill the disk, or that is made to harm, is refused with its reason.
 * The lines are those of
 *   tar --list --verbose --numeric-owner --full-time --utc --absolute-names
 *       --quoting-style=escape
 */

#ifndef INSTANCE_SVC_IMAGE_LISTING_H
#define INSTANCE_SVC_IMAGE_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Each file costs as much beside its bytes: an inode, an entry, the rest of its last block. */
#define IMAGE_LISTING_ENTRY_BYTES 4096

#define IMAGE_LISTING_LINE_MAX 20000 /* two paths, each byte of them escaped */

struct image_listing {
	uint64_t bytes_max; /* of `bytes`: set by the caller */
	uint64_t bytes;	    /* what the entries so far take when unpacked */
};

/*
 * Takes one line without its end. ERR_FAILED_PRECONDITION: a path that leaves the image, an
 * owner whom we have no id for, more bytes than bytes_max, or no line of tar's.
 */
int image_listing_add(struct image_listing *listing, const char *line, struct err *err);

#endif
