/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "host.h"

static char *line_of(struct event_log *log, uint64_t number)
{
	return log->lines[number % EVENT_COUNT];
}

void event_add(struct host *host, const char *action, const char *subsystem, const char *format,
	       ...)
{
	char *line = line_of(&host->events, host->events.next++);
	va_list args;
	int length;

	length = snprintf(line, EVENT_SIZE, "%s %s ", action, subsystem);
	va_start(args, format);
	vsnprintf(line + length, EVENT_SIZE - (size_t)length, format, args);
	va_end(args);
	uevent_send(&host->uevents, action, subsystem, line + length);
}

int event_read(const struct host *host, uint64_t *position, size_t size, FILE *out)
{
	const struct event_log *log = &host->events;
	size_t length = 0;

	if (log->next > EVENT_COUNT && *position < log->next - EVENT_COUNT) {
		*position = log->next - EVENT_COUNT;
		return -EPIPE;
	}
	for (; *position < log->next; ++*position) {
		const char *line = log->lines[*position % EVENT_COUNT];

		if (length + strlen(line) + 1 > size)
			break;
		length += (size_t)fprintf(out, "%s\n", line);
	}
	return (int)length;
}
