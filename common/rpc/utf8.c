/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Which second bytes may follow a lead byte; the others are always 0x80 to 0xbf. */
struct lead {
	uint8_t first, last; /* lead bytes, inclusive */
	uint8_t length;
	uint8_t second_min, second_max;
};

static const struct lead leads[] = {
	{ 0x01, 0x7f, 1, 0x00, 0x00 }, { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

/* Length of the character at `text`, 0 when there is none. */
static size_t character_length(const uint8_t *text, size_t size)
{
	const struct lead *lead = NULL;

	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]) && !lead; i++)
		if (text[0] >= leads[i].first && text[0] <= leads[i].last)
			lead = &leads[i];
	if (!lead || lead->length > size)
		return 0;
	if (lead->length > 1 && (text[1] < lead->second_min || text[1] > lead->second_max))
		return 0;
	for (size_t i = 2; i < lead->length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return lead->length;
}

size_t utf8_valid_length(const char *text, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t at = 0;

	while (at < size) {
		size_t length = character_length(bytes + at, size - at);

		if (length == 0)
			break;
		at += length;
	}
	return at;
}

void utf8_repair(char *text)
{
	size_t size = strlen(text);

	for (size_t at = utf8_valid_length(text, size); at < size;
	     at += utf8_valid_length(text + at, size - at))
		text[at++] = '?';
}
