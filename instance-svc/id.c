/* SPDX-License-Identifier: Apache-2.0 */
#include "id.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include <uuid/uuid.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

int id_new(struct id *ret)
{
	unsigned char bytes[ID_LENGTH];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	ret->s[0] = alphabet[bytes[0] % 26]; /* a hair uneven, which uniqueness does not mind */
	for (size_t i = 1; i < ID_LENGTH; i++)
		ret->s[i] = alphabet[bytes[i] % 32];
	ret->s[ID_LENGTH] = '\0';
	return 0;
}

bool id_is_valid(const char *text)
{
	return strlen(text) == ID_LENGTH && strspn(text, alphabet) == ID_LENGTH && text[0] >= 'a';
}

struct uuid_text uuid_new(void)
{
	struct uuid_text text;
	uuid_t uuid;

	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, text.s);
	return text;
}

bool uuid_is_valid(const char *text)
{
	char canonical[UUID_TEXT_SIZE];
	uuid_t uuid;

	if (uuid_parse(text, uuid) < 0)
		return false;
	uuid_unparse_lower(uuid, canonical);
	return strcmp(text, canonical) == 0;
}
