/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a line of tar's: what is taken never goes beyond the limit. */
#include "instance-svc/image_listing.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_listing listing = { .bytes_max = 1 << 20 };
	char *line = malloc(size + 1);
	struct err err;

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	if (image_listing_add(&listing, line, &err) == 0 && listing.bytes > listing.bytes_max)
		abort();
	free(line);
	return 0;
}
