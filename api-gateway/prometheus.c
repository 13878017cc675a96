/* SPDX-License-Identifier: Apache-2.0 */
#include "prometheus.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Help texts escape backslashes and line ends, label values quotes as well. */
static void append_escaped(struct text *to, const char *value, const char *special)
{
	while (*value) {
		size_t plain = strcspn(value, special);

		text_append(to, value, plain);
		value += plain;
		if (*value == '\0')
			break;
		text_append_format(to, "\\%c", *value == '\n' ? 'n' : *value);
		value++;
	}
}

void prometheus_family(struct text *to, const char *name, const char *type, const char *help)
{
	text_append_format(to, "# HELP %s ", name);
	append_escaped(to, help, "\\\n");
	text_append_format(to, "\n# TYPE %s %s\n", name, type);
}

struct prometheus_number prometheus_number(double value)
{
	struct prometheus_number number;
	int digits = 15;

	do
		snprintf(number.s, sizeof(number.s), "%.*g", digits, value);
	while (digits++ < 17 && strtod(number.s, NULL) != value);
	return number;
}

void prometheus_sample(struct text *to, const char *name, double value, ...)
{
	const char *label, *before = "{";
	va_list labels;

	text_append_string(to, name);
	va_start(labels, value);
	while ((label = va_arg(labels, const char *))) {
		text_append_format(to, "%s%s=\"", before, label);
		append_escaped(to, va_arg(labels, const char *), "\\\"\n");
		text_append_string(to, "\"");
		before = ",";
	}
	va_end(labels);
	text_append_format(to, "%s %s\n", before[0] == ',' ? "}" : "", prometheus_number(value).s);
}

void prometheus_gauge(struct text *to, const char *name, const char *help, double value)
{
	prometheus_family(to, name, "gauge", help);
	prometheus_sample(to, name, value, NULL);
}
