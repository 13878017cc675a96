/* SPDX-License-Identifier: Apache-2.0 */
/* What reads as a rate is written in a form that reads as the same rate. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "instance-svc/rate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[64];
	uint64_t bps, again;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (rate_parse(text, &bps) < 0)
		return 0;
	if (rate_parse(RATE_STR(bps), &again) < 0 || again != bps)
		abort();
	return 0;
}
