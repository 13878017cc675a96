/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bearer tokens: JWTs signed with HS256, and no other way.
 *
 * `exp` is required; `nbf` and `sub` are looked at. `permissions`, a list of scopes such
 * as "instance:read", limits what the token is good for: either part may be "*", as may
 * the whole. Without it the token is good for everything.
 */

#ifndef API_GATEWAY_TOKEN_H
#define API_GATEWAY_TOKEN_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/err.h"

#define TOKEN_BYTES_MAX	    8192
#define TOKEN_KEY_BYTES_MIN 32 /* RFC 7518, section 3.2 */

struct token_subject {
	char s[128]; /* empty: the token has none */
};

/*
 * UNAUTHENTICATED for a token that is not good now, FORBIDDEN for one that is not good
 * for `scope` (NULL: any). Pure, but for the time it is given.
 */
int token_check(const char *token, const uint8_t *key, size_t key_length, time_t now,
		const char *scope, struct token_subject *ret, struct err *err);

#endif
