/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a line of the journal: what is taken is exactly what would be written. */
#include <stdlib.h>
#include <string.h>

#include "gpu-agent/monitor/journal_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), boot[37], again[JOURNAL_LINE_MAX];
	struct journal_entry entry;

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (journal_line_parse(text, size, &entry, boot) == 0 &&
	    (journal_line_format(&entry, boot, again) != size + 1 ||
	     memcmp(again, text, size) != 0))
		abort();
	free(text);
	return 0;
}
