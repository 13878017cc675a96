/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "CODE" or "CODE TEXT", the code in the plainest form: at most three digits. */
static int parse_exit(const char *text, struct report *report)
{
	int code = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits < 1 || digits > 3 || (text[digits] != ' ' && text[digits] != '\0'))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		code = code * 10 + (text[i] - '0');
	if (code > 255)
		return -EINVAL;
	report->kind = REPORT_EXIT;
	report->exit_code = code;
	snprintf(report->text, sizeof(report->text), "%s",
		 text[digits] == ' ' ? text + digits + 1 : "");
	return 0;
}

int report_parse(const char *line, struct report *ret)
{
	struct report report = { 0 };

	if (strcmp(line, "started") == 0) {
		report.kind = REPORT_STARTED;
	} else if (strncmp(line, "exit ", 5) == 0) {
		if (parse_exit(line + 5, &report) < 0)
			return -EINVAL;
	} else if (strncmp(line, "failed ", 7) == 0) {
		report.kind = REPORT_FAILED;
		snprintf(report.text, sizeof(report.text), "%s", line + 7);
	} else {
		return -EINVAL;
	}
	*ret = report;
	return 0;
}

size_t report_reader_feed(struct report_reader *reader, const char *bytes, size_t size,
			  const char **ret_line)
{
	*ret_line = NULL;
	for (size_t i = 0; i < size; i++) {
		bool whole = !reader->overlong;

		if (bytes[i] != '\n') {
			if (reader->size + 1 < sizeof(reader->line))
				reader->line[reader->size++] = bytes[i];
			else
				reader->overlong = true;
			continue;
		}
		reader->line[reader->size] = '\0';
		reader->size = 0;
		reader->overlong = false;
		if (whole)
			*ret_line = reader->line;
		return i + 1;
	}
	return size;
}
