/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens for tests, as a holder of the key makes them. */

#ifndef TESTS_API_GATEWAY_TOKEN_SIGN_H
#define TESTS_API_GATEWAY_TOKEN_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "api-gateway/text.h"

/* Appends a JWT of any two texts, signed with HMAC-SHA256. */
void token_sign(const char *header, const char *claims, const uint8_t *key, size_t key_length,
		struct text *to);

#endif
