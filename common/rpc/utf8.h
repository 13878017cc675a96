/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing past U+10FFFF. */

#ifndef COMMON_RPC_UTF8_H
#define COMMON_RPC_UTF8_H

#include <stddef.h>

/* How many bytes from the start are valid; stops at a NUL too. `size` when all are. */
size_t utf8_valid_length(const char *text, size_t size);

/* Replaces each byte of a text that belongs to no valid character by '?', in place. */
void utf8_repair(char *text);

#endif
