/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a record: what is taken reads back as the same text. */
#include "instance-svc/image_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[IMAGE_RECORD_TEXT_MAX], again[IMAGE_RECORD_TEXT_MAX];
	struct image_record record;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (image_record_parse(text, &record) < 0)
		return 0;
	image_record_format(&record, again);
	if (strcmp(text, again) != 0)
		abort();
	return 0;
}
