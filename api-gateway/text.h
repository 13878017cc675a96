/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text that grows. When memory runs out it stays as it was and remembers that it is
 * incomplete, so that a writer checks once, at the end.
 */

#ifndef API_GATEWAY_TEXT_H
#define API_GATEWAY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/scoped.h"

struct text {
	char *bytes; /* owned; length bytes, then a NUL; NULL while empty */
	size_t length;
	size_t room;
	bool incomplete;
};

void text_append(struct text *text, const char *bytes, size_t length);
void text_append_string(struct text *text, const char *string);
void text_append_format(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* With quotes. Bytes that are no UTF-8 become U+FFFD. */
void text_append_json_string(struct text *text, const char *string);

void text_done(struct text *text);

/* For scoped_text: releases a local. */
static inline void text_scoped_done(struct text *text)
{
	text_done(text);
}
#define scoped_text __attribute__((cleanup(text_scoped_done)))

#endif
