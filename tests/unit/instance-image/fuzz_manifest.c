/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest: digests that are taken are valid, sizes add up. */
#include "instance-svc/image_manifest.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_layers(const struct image_layers *layers)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < layers->count; i++) {
		if (!image_digest_is_valid(layers->list[i].digest.s) ||
		    layers->list[i].bytes > IMAGE_LAYER_BYTES_MAX)
			abort();
		bytes += layers->list[i].bytes;
	}
	if (bytes != layers->bytes || layers->count > IMAGE_LAYERS_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_layers layers;
	struct image_digest digest;
	struct err err;

	if (image_manifest_select((const char *)data, size, &digest, &err) == 0 &&
	    !image_digest_is_valid(digest.s))
		abort();
	if (image_manifest_read_layers((const char *)data, size, &layers, &err) == 0) {
		check_layers(&layers);
		image_layers_done(&layers);
	}
	return 0;
}
