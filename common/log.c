/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static atomic_bool debug_enabled;

void log_set_debug(bool enabled)
{
	debug_enabled = enabled;
}

/* Copies with control characters as \xNN. Returns the length, at most size - 1. */
static size_t escape(char *to, size_t size, const char *from)
{
	size_t used = 0;

	for (; *from && used + 5 < size; from++) {
		unsigned char c = (unsigned char)*from;

		if (c < 0x20 || c == 0x7f)
			used += (size_t)snprintf(to + used, size - used, "\\x%02x", c);
		else
			to[used++] = (char)c;
	}
	to[used] = '\0';
	return used;
}

static void print(int priority, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* One write(2) a line, so that lines of threads and processes do not mix. */
static void print(int priority, const char *format, va_list args)
{
	char text[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES + 8];
	size_t used;

	vsnprintf(text, sizeof(text), format, args);
	used = (size_t)snprintf(line, sizeof(line), "<%d>", priority);
	used += escape(line + used, sizeof(line) - used - 1, text);
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0)
		return; /* nobody is left to tell */
}

#define LOG_FUNCTION(name, priority)                                                               \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, format);                                                            \
		print(priority, format, args);                                                     \
		va_end(args);                                                                      \
	}

LOG_FUNCTION(log_error, 3)
LOG_FUNCTION(log_warning, 4)
LOG_FUNCTION(log_info, 6)

void log_debug(const char *format, ...)
{
	va_list args;

	if (!debug_enabled)
		return;
	va_start(args, format);
	print(7, format, args);
	va_end(args);
}
