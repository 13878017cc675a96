/* SPDX-License-Identifier: Apache-2.0 */
#include "token_sign.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "api-gateway/base64.h"

static void append_base64url(struct text *to, const void *bytes, size_t length)
{
	size_t begin = to->length;

	base64_append(to, bytes, length);
	for (size_t i = begin; i < to->length; i++)
		to->bytes[i] = to->bytes[i] == '+' ? '-' : to->bytes[i] == '/' ? '_' : to->bytes[i];
	while (to->length > begin && to->bytes[to->length - 1] == '=')
		to->bytes[--to->length] = '\0';
}

void token_sign(const char *header, const char *claims, const uint8_t *key, size_t key_length,
		struct text *to)
{
	size_t begin = to->length;
	uint8_t digest[32];
	unsigned length = sizeof(digest);

	append_base64url(to, header, strlen(header));
	text_append_string(to, ".");
	append_base64url(to, claims, strlen(claims));
	HMAC(EVP_sha256(), key, (int)key_length, (uint8_t *)to->bytes + begin, to->length - begin,
	     digest, &length);
	text_append_string(to, ".");
	append_base64url(to, digest, length);
}
