/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a list of vGPU types: it ends, and what it lists can be used. */
#include <stdlib.h>
#include <string.h>

#include "gpu-agent/monitor/vendor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	const char *rest = text;
	struct vendor_line line;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while (vendor_next_line(&rest, &line) > 0)
		if (line.id == 0 || line.id > INT32_MAX || line.name[0] == '\0' ||
		    strnlen(line.name, sizeof(line.name)) == sizeof(line.name))
			abort();
	if (rest < text || rest > text + size)
		abort();
	free(text);
	return 0;
}
