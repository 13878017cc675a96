/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/utf8.h"

static bool make_room(struct text *text, size_t length)
{
	size_t room = text->room ? text->room : 256;
	char *bytes;

	if (text->incomplete)
		return false;
	while (room - text->length <= length) /* one byte for the NUL */
		room *= 2;
	if (room == text->room)
		return true;
	bytes = realloc(text->bytes, room);
	if (!bytes) {
		text->incomplete = true;
		return false;
	}
	text->bytes = bytes;
	text->room = room;
	return true;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
	if (!make_room(text, length))
		return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

/* Mostly there is room, and once is enough. */
void text_append_format(struct text *text, const char *format, ...)
{
	size_t room = text->room - text->length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(room > 0 ? text->bytes + text->length : NULL, room, format, args);
	va_end(args);
	if (length < 0 || !make_room(text, (size_t)length))
		return;
	if ((size_t)length >= room) {
		va_start(args, format);
		vsnprintf(text->bytes + text->length, (size_t)length + 1, format, args);
		va_end(args);
	}
	text->length += (size_t)length;
}

static void append_escape(struct text *text, unsigned char c)
{
	switch (c) {
	case '"':
		text_append(text, "\\\"", 2);
		break;
	case '\\':
		text_append(text, "\\\\", 2);
		break;
	case '\n':
		text_append(text, "\\n", 2);
		break;
	case '\r':
		text_append(text, "\\r", 2);
		break;
	case '\t':
		text_append(text, "\\t", 2);
		break;
	default:
		text_append_format(text, "\\u%04x", c);
	}
}

/* A run of valid UTF-8. */
static void append_escaped(struct text *text, const char *from, size_t length)
{
	size_t plain = 0; /* start of what needs no escape */

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)from[i];

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		text_append(text, from + plain, i - plain);
		append_escape(text, c);
		plain = i + 1;
	}
	text_append(text, from + plain, length - plain);
}

void text_append_json_string(struct text *text, const char *string)
{
	size_t left = strlen(string);

	text_append(text, "\"", 1);
	while (left > 0) {
		size_t valid = utf8_valid_length(string, left);

		append_escaped(text, string, valid);
		string += valid;
		left -= valid;
		if (left > 0) {
			text_append(text, "\xef\xbf\xbd", 3);
			string++;
			left--;
		}
	}
	text_append(text, "\"", 1);
}

void text_done(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}
