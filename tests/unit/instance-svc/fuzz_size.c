/* SPDX-License-Identifier: Apache-2.0 */
/* What reads as a size is written in a form that reads as the same size. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "instance-svc/size.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[64];
	uint64_t bytes, again;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (size_parse(text, &bytes) < 0)
		return 0;
	if (size_parse(SIZE_STR(bytes), &again) < 0 || again != bytes)
		abort();
	return 0;
}
