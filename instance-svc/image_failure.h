/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why skopeo, umoci or mkfs.erofs failed, out of what they print. Their exit status says
 * nothing, so their words are matched; words that are not known become ERR_INTERNAL with
 * the tool's own sentence.
 */

#ifndef INSTANCE_SVC_IMAGE_FAILURE_H
#define INSTANCE_SVC_IMAGE_FAILURE_H

#include "common/err.h"

struct image_failure {
	enum err_reason reason;
	char text[320]; /* "no such image (manifest unknown...)", one line; empty: no words */
};

/* Reads a tool's standard error. Pure. */
struct image_failure image_failure_read(const char *printed);

#endif
