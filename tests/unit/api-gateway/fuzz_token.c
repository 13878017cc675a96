/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a token, which is never accepted since nobody signed it; and any two texts, with a
 * line break between them, as header and claims of a token that is signed: what is accepted
 * of these says HS256 and is alive.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "api-gateway/token.h"
#include "token_sign.h"

#define NOW 1000000000

static const uint8_t key[] = "0123456789abcdef0123456789abcdef";

static int check(const char *token, struct token_subject *subject)
{
	struct err err = { .reason = ERR_UNAUTHENTICATED };
	int r = token_check(token, key, sizeof(key) - 1, NOW, "instance:read", subject, &err);

	if (r != 0 && err.reason != ERR_UNAUTHENTICATED && err.reason != ERR_FORBIDDEN)
		abort();
	return r;
}

static void expect_good(const char *header, const char *claims, const struct token_subject *subject)
{
	cJSON *says = cJSON_Parse(header), *claimed = cJSON_Parse(claims);
	const char *alg = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(says, "alg"));
	const cJSON *expires = cJSON_GetObjectItemCaseSensitive(claimed, "exp");
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(claimed, "sub"));

	if (!alg || strcmp(alg, "HS256") != 0 || !cJSON_IsNumber(expires) ||
	    expires->valuedouble <= NOW || strcmp(subject->s, name ? name : "") != 0)
		abort();
	cJSON_Delete(says);
	cJSON_Delete(claimed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *header = strndup((const char *)data, size);
	char *claims = header ? strchr(header, '\n') : NULL;
	struct text token = { 0 };
	struct token_subject subject;

	if (header && check(header, &subject) == 0)
		abort();
	if (claims) {
		*claims++ = '\0';
		token_sign(header, claims, key, sizeof(key) - 1, &token);
		if (check(token.bytes, &subject) == 0)
			expect_good(header, claims, &subject);
	}
	text_done(&token);
	free(header);
	return 0;
}
