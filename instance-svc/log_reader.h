/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a log that another process writes and rotates: the last lines first, then each
 * new one. A reader keeps what it has open, so that rotation under it loses nothing until
 * it is LOG_FILE_COUNT files behind; then it goes on with the oldest there is.
 */

#ifndef INSTANCE_SVC_LOG_READER_H
#define INSTANCE_SVC_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/scoped.h"
#include "log_file.h"

#define LOG_LINE_MAX (16 * 1024)

struct log_reader;

/*
 * Starts `tail` lines before the end. A log that does not exist yet is empty. Returns NULL
 * when out of memory.
 */
struct log_reader *log_reader_open(int take_directory, enum log_source source, size_t tail);
void log_reader_close(struct log_reader *reader);
SCOPED_DEFINE(struct log_reader *, log_reader_close);

/*
 * The next line, without its end, as valid UTF-8 (what is not, and NUL, become U+FFFD),
 * borrowed until the next call; NULL: nothing new now. A longer one comes in pieces of at
 * most LOG_LINE_MAX bytes. An unfinished last line comes only when `unfinished` is set.
 */
const char *log_reader_next(struct log_reader *reader, bool unfinished);

#endif
