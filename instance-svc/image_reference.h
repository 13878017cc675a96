/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image references taken apart. Valid by construction: text becomes one only in
 * image_reference_parse(), so that no reference can be a flag, a path, or another transport
 * of skopeo's.
 */

#ifndef INSTANCE_SVC_IMAGE_REFERENCE_H
#define INSTANCE_SVC_IMAGE_REFERENCE_H

#include "common/err.h"

#define IMAGE_REFERENCE_MAX 255

struct image_reference {
	char repository[IMAGE_REFERENCE_MAX + 1]; /* "docker.io/library/busybox" */
	char tag[129];				  /* "latest"; empty when there is a digest */
	char digest[sizeof("sha256:") + 64];	  /* empty when there is a tag */
};

struct image_reference_text {
	char s[IMAGE_REFERENCE_MAX + 1];
};

/* Fills in docker.io, library/ and :latest. A digest makes a tag beside it void, as for Docker. */
int image_reference_parse(const char *text, const char *field, struct image_reference *ret,
			  struct err *err);

/* The normal form: parsing it gives the same value. */
struct image_reference_text image_reference_text(const struct image_reference *reference);

#define IMAGE_REFERENCE_STR(reference) (image_reference_text(reference).s)

#endif
