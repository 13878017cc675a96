/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct text *text, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t group = (uint32_t)bytes[i] << 16;
		char out[4];

		if (left > 1)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			group |= bytes[i + 2];
		out[0] = alphabet[group >> 18];
		out[1] = alphabet[group >> 12 & 63];
		out[2] = left > 1 ? alphabet[group >> 6 & 63] : '=';
		out[3] = left > 2 ? alphabet[group & 63] : '=';
		text_append(text, out, sizeof(out));
	}
}

/* One group of four characters; returns how many bytes it holds, 0 when it is wrong. */
static size_t parse_group(const char *from, bool last, uint8_t *to)
{
	size_t bytes = !last || from[3] != '=' ? 3 : from[2] != '=' ? 2 : 1;
	uint32_t group = 0;

	for (size_t i = 0; i < 4; i++) {
		const char *found = strchr(alphabet, from[i]);

		if (i > bytes)
			found = alphabet; /* '=' counts as zero bits */
		if (!found)
			return 0;
		group = group << 6 | (uint32_t)(found - alphabet);
	}
	if ((bytes == 1 && group & 0xffff) || (bytes == 2 && group & 0xff))
		return 0; /* bits that are in no byte */
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(group >> (16 - 8 * i));
	return bytes;
}

int base64_parse(const char *text, uint8_t **ret, size_t *ret_length)
{
	size_t length = strlen(text), used = 0;
	scoped_free uint8_t *bytes = NULL;

	if (length % 4 != 0)
		return -EINVAL;
	if (length > 0 && !(bytes = malloc(length / 4 * 3)))
		return -ENOMEM;
	for (size_t i = 0; i < length; i += 4) {
		size_t added = parse_group(text + i, i + 4 == length, bytes + used);

		if (added == 0)
			return -EINVAL;
		used += added;
	}
	*ret = TAKE_PTR(bytes);
	*ret_length = used;
	return 0;
}
