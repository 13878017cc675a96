/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two disks of an instance's own: a sparse ext4 for what the guest writes, and the raw
 * config disk that tells init what to do (guest/config.h).
 */

#ifndef INSTANCE_SVC_DISKS_H
#define INSTANCE_SVC_DISKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "image.h"
#include "spec.h"

/*
 * The config disk's bytes. The command is the spec's entrypoint and cmd where given, else
 * the image's (an own entrypoint without cmd drops the image's cmd, as with Docker); the
 * environment is the image's, with the spec's values over it. *ret is freed by the caller.
 * ERR_INVALID_ARGUMENT when there is no command at all, or it is too long.
 */
int disks_format_config(const struct spec *spec, const struct image *image, uint8_t **ret,
			size_t *ret_size, struct err *err);

/* Makes both in the directory, anew; or only the config disk, beside the overlay of a guest that
 * has run. */
int disks_make(int directory, const char *path, const struct spec *spec, const struct image *image,
	       bool keep_overlay, const volatile bool *cancelled, struct err *err);

/* A sparse file with an empty file system, made anew. */
int disks_make_ext4(const char *path, uint64_t bytes, const volatile bool *cancelled,
		    struct err *err);

/* Bytes that the overlay occupies now; 0 when there is none. */
uint64_t disks_overlay_usage(int directory);

#endif
