/* SPDX-License-Identifier: Apache-2.0 */
/* Any text: what is taken has a normal form that is taken too, as itself. */
#include "instance-svc/image_reference.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_reference reference, again;
	struct image_reference_text normal;
	char *text = malloc(size + 1);
	struct err err;

	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (image_reference_parse(text, "image", &reference, &err) == 0) {
		normal = image_reference_text(&reference);
		if (image_reference_parse(normal.s, "image", &again, &err) < 0 ||
		    strcmp(IMAGE_REFERENCE_STR(&again), normal.s) != 0 || normal.s[0] == '-' ||
		    strstr(reference.repository, "..") || strstr(normal.s, "//"))
			abort();
	}
	free(text);
	return 0;
}
