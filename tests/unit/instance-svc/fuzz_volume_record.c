/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the record of a volume: what is taken reads back as the same text. */
#include "instance-svc/volume_record.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[VOLUME_RECORD_MAX], again[VOLUME_RECORD_MAX];
	struct volume volume;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (volume_record_parse(text, "id", &volume) < 0)
		return 0;
	volume_record_format(&volume, again);
	if (strcmp(text, again) != 0)
		abort();
	return 0;
}
