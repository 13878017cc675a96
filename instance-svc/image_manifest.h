/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and indexes, as registries send them and as layouts on disk hold them. */

#ifndef INSTANCE_SVC_IMAGE_MANIFEST_H
#define INSTANCE_SVC_IMAGE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "image_digest.h"

#define IMAGE_LAYERS_MAX      1024 /* eight times what Docker makes */
#define IMAGE_LAYER_BYTES_MAX (UINT64_C(1) << 50)

struct image_layer {
	struct image_digest digest;
	uint64_t bytes; /* as transferred */
};

struct image_layers {
	struct image_layer *list; /* owned */
	size_t count;
	uint64_t bytes; /* the sum */
};

void image_layers_done(struct image_layers *layers);

/*
 * The digest of the manifest for this machine: of the document itself, or, when it is an
 * index (a manifest list), of the entry for this platform. Pure.
 */
int image_manifest_select(const char *document, size_t length, struct image_digest *ret,
			  struct err *err);

/* Of a manifest that is no index, first to last. Pure. */
int image_manifest_read_layers(const char *document, size_t length, struct image_layers *ret,
			       struct err *err);

struct image_manifest {
	struct image_layers layers;
	char *config; /* owned; the document */
	size_t config_length;
};

/* The only image in a layout folder, manifest and config checked against their digests. */
int image_manifest_load(const char *layout, struct image_manifest *ret, struct err *err);
void image_manifest_done(struct image_manifest *manifest);

#endif
