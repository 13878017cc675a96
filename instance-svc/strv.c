/* SPDX-License-Identifier: Apache-2.0 */
#include "strv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strv_free(char **strv)
{
	for (size_t i = 0; strv && strv[i]; i++)
		free(strv[i]);
	free(strv);
}

size_t strv_length(char *const *strv)
{
	size_t length = 0;

	while (strv && strv[length])
		length++;
	return length;
}

/* take_text is freed when it cannot be kept. */
static int append(char ***strv, char *take_text)
{
	size_t length = strv_length(*strv);
	char **longer = take_text ? realloc(*strv, (length + 2) * sizeof(*longer)) : NULL;

	if (!longer) {
		free(take_text);
		return -ENOMEM;
	}
	longer[length] = take_text;
	longer[length + 1] = NULL;
	*strv = longer;
	return 0;
}

int strv_append(char ***strv, const char *text)
{
	return append(strv, strdup(text));
}

int strv_appendf(char ***strv, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return append(strv, text);
}

int strv_extend(char ***strv, char *const *more)
{
	for (size_t i = 0; more && more[i]; i++)
		if (strv_append(strv, more[i]) < 0)
			return -ENOMEM;
	return 0;
}
