/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subordinate ids for the owners of files in images: the first IMAGE_IDS_COUNT of our user's
 * range in /etc/subuid and /etc/subgid. What comes after them in the range is not ours to
 * use here (the VMs run there).
 */

#ifndef INSTANCE_SVC_IMAGE_IDS_H
#define INSTANCE_SVC_IMAGE_IDS_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define IMAGE_IDS_COUNT 65536

struct image_ids {
	uint32_t uid_first, gid_first;
};

/* Looks our own user up. Fails naming the line that is missing. */
int image_ids_find(struct image_ids *ret, struct err *err);

/*
 * The first range of at least IMAGE_IDS_COUNT ids that a subuid(5) text gives to this user,
 * by name or number: 0, or -ENOENT. Pure.
 */
int image_ids_parse(const char *text, const char *name, uid_t uid, uint32_t *ret_first);

#endif
