/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of RFC 4648, with padding. */

#ifndef API_GATEWAY_BASE64_H
#define API_GATEWAY_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

void base64_append(struct text *text, const uint8_t *bytes, size_t length);

/* -EINVAL, or -ENOMEM. *ret is the caller's; NULL when the text is empty. */
int base64_parse(const char *text, uint8_t **ret, size_t *ret_length);

#endif
