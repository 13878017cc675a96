/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config of an image. It is a stranger's: sizes are bounded, types are checked, and what
 * is not understood is refused with the name of the member at fault.
 */

#ifndef INSTANCE_SVC_IMAGE_OCI_H
#define INSTANCE_SVC_IMAGE_OCI_H

#include <stddef.h>

#include "common/err.h"
#include "image.h"

#define IMAGE_OCI_OS "linux"

/* What Go calls this machine's architecture: "amd64", "arm64". */
const char *image_oci_architecture(void);

/* Entrypoint, cmd, env, user and working_dir of a config; the other members stay. Pure. */
int image_oci_read_config(const char *document, size_t length, struct image *image,
			  struct err *err);

/* A file's bytes, with a NUL after them; at most IMAGE_JSON_BYTES_MAX. Caller frees. */
int image_oci_read_file(const char *path, char **ret, size_t *ret_length, struct err *err);

#endif
