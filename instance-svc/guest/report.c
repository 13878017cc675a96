/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "port.h"

#define APPEAR_TRIES   200
#define LISTENER_TRIES 300
#define TRY_STEP_NS    10000000 /* 10 ms */

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = TRY_STEP_NS }, NULL);
}

void report_open(struct report *report)
{
	*report = (struct report){ .fd = -1 };
	for (int i = 0; i < APPEAR_TRIES && report->fd < 0; i++) {
		if (i > 0)
			pause_briefly();
		report->fd = port_open(GUEST_REPORT_PORT);
	}
}

__attribute__((format(printf, 2, 0))) static size_t line_format(char line[GUEST_REPORT_LINE_MAX],
								const char *format, va_list args)
{
	size_t length;

	vsnprintf(line, GUEST_REPORT_LINE_MAX - 1, format, args);
	length = strlen(line);
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	}
	line[length++] = '\n';
	return length;
}

/* Non-blocking: the kernel spins without end when a host takes nothing from a blocking port. */
void report_send(struct report *report, const char *format, ...)
{
	char line[GUEST_REPORT_LINE_MAX];
	size_t length, sent = 0;
	va_list args;

	va_start(args, format);
	length = line_format(line, format, args);
	va_end(args);
	for (int i = 0; report->fd >= 0 && i < LISTENER_TRIES && sent < length; i++) {
		ssize_t n = write(report->fd, line + sent, length - sent);

		if (n > 0)
			sent += (size_t)n;
		else
			pause_briefly();
	}
}

/* "stop MILLISECONDS"; -1: another line. */
static int stop_parse(const char *line)
{
	long grace;
	char *end;

	if (strncmp(line, "stop ", 5) != 0 || line[5] < '0' || line[5] > '9')
		return -1;
	grace = strtol(line + 5, &end, 10);
	return *end == '\0' && grace <= GUEST_STOP_MS_MAX ? (int)grace : -1;
}

int report_read_stop(struct report *report)
{
	int grace = -1;
	char byte;

	while (report->fd >= 0 && read(report->fd, &byte, 1) == 1) {
		if (byte != '\n') {
			if (report->input_length == sizeof(report->input) - 1)
				report->skipping = true;
			else
				report->input[report->input_length++] = byte;
			continue;
		}
		report->input[report->input_length] = '\0';
		if (!report->skipping && stop_parse(report->input) >= 0)
			grace = stop_parse(report->input);
		report->input_length = 0;
		report->skipping = false;
	}
	return grace;
}
