/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of the journal: "<state> <boot id> <uuid> <parent> <type> <pid>-<start> <crc32>\n".
 * Pure.
 */

#ifndef GPU_AGENT_MONITOR_JOURNAL_LINE_H
#define GPU_AGENT_MONITOR_JOURNAL_LINE_H

#include "journal.h"

#define JOURNAL_LINE_MAX 256

/* Returns the length, the newline included. */
size_t journal_line_format(const struct journal_entry *entry, const char *boot,
			   char line[static JOURNAL_LINE_MAX]);

/*
 * line: without its newline, length bytes. 0; -EBADMSG for a line that was not written by
 * journal_line_format() or has been damaged; ret_boot has room for 37 bytes.
 */
int journal_line_parse(const char *line, size_t length, struct journal_entry *ret, char *ret_boot);

#endif
