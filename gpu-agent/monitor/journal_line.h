/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of the journal: "<state> <boot id> <kind> <uuid> <parent> <detail> <pid>-<start>
 * <crc32>\n". The detail is an mdev's type, a virtual function's type id, or what drivers the
 * functions of a binding had: "0=nvidia,1=snd_hda_intel,2=". Pure.
 */

#ifndef GPU_AGENT_MONITOR_JOURNAL_LINE_H
#define GPU_AGENT_MONITOR_JOURNAL_LINE_H

#include "journal.h"

#define JOURNAL_LINE_MAX 640

/* Returns the length, the newline included. */
size_t journal_line_format(const struct journal_entry *entry, const char *boot,
			   char line[static JOURNAL_LINE_MAX]);

/*
 * line: without its newline, length bytes. 0; -EBADMSG for a line that was not written by
 * journal_line_format() or has been damaged; ret_boot has room for 37 bytes.
 */
int journal_line_parse(const char *line, size_t length, struct journal_entry *ret, char *ret_boot);

/* Whether a driver's name can be written into a line and be read back. */
bool journal_line_takes(const char *driver);

#endif
