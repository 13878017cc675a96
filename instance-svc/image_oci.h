/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What registries and layouts say, in JSON: manifests, indexes, and the image config. All
 * of it is a stranger's: sizes are bounded, types are checked, and what is not understood
 * is refused with the name of the member at fault.
 */

#ifndef INSTANCE_SVC_IMAGE_OCI_H
#define INSTANCE_SVC_IMAGE_OCI_H

#include <stddef.h>

#include "common/err.h"
#include "image.h"
#include "image_digest.h"

#define IMAGE_OCI_OS		 "linux"
#define IMAGE_OCI_DOCUMENT_BYTES (4 << 20) /* more is no manifest and no config */

/* What Go calls this machine's architecture: "amd64", "arm64". */
const char *image_oci_architecture(void);

/*
 * The digest of the manifest for this machine: of the document itself, or, when it is an
 * index (a manifest list), of the entry for this platform. Pure.
 */
int image_oci_select(const char *document, size_t length, struct image_digest *ret,
		     struct err *err);

/* Entrypoint, cmd, env, user and working_dir of a config; the other members stay. Pure. */
int image_oci_read_config(const char *document, size_t length, struct image *image,
			  struct err *err);

/*
 * The config of the only image in a layout folder, its bytes checked against their digest.
 * Caller frees *ret.
 */
int image_oci_load_config(const char *layout, char **ret, size_t *ret_length, struct err *err);

/* A file's bytes, with a NUL after them; at most IMAGE_OCI_DOCUMENT_BYTES. Caller frees. */
int image_oci_read_file(const char *path, char **ret, size_t *ret_length, struct err *err);

#endif
