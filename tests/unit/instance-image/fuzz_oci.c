/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a config: what is taken keeps the promises of image.h. */
#include "instance-svc/image_oci.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct image *image)
{
	for (char **env = image->env; *env; env++) {
		if (!strchr(*env, '='))
			abort();
	}
	if (!image->entrypoint || !image->cmd || !image->user ||
	    (image->working_dir[0] != '\0' && image->working_dir[0] != '/'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *image = calloc(1, sizeof(*image));
	struct err err;

	if (image_oci_read_config((const char *)data, size, image, &err) == 0)
		check(image);
	image_free(image);
	return 0;
}
