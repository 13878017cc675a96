/* SPDX-License-Identifier: Apache-2.0 */
/* Content digests as registries write them: "sha256:" and 64 lower case hex digits. */

#ifndef INSTANCE_SVC_IMAGE_DIGEST_H
#define INSTANCE_SVC_IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

struct image_digest {
	char s[sizeof("sha256:") + 64];
};

bool image_digest_is_valid(const char *text);

/* The digest of these bytes (FIPS 180-4). */
struct image_digest image_digest_of(const void *data, size_t length);

#endif
