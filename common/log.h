/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event, one line on stderr, with the priority prefix that journald understands
 * ("<6>text"). Control characters in a line are escaped. Thread safe.
 *
 * error: we give up something we promised. warning: odd, but we go on, and the text
 * says what we do instead. info: each change of host or VM state. debug: the rest,
 * printed only after log_set_debug(true).
 */

#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

void log_set_debug(bool enabled);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
