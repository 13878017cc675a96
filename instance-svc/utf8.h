/* SPDX-License-Identifier: Apache-2.0 */
/* Text from strangers made fit for protobuf strings. */

#ifndef INSTANCE_SVC_UTF8_H
#define INSTANCE_SVC_UTF8_H

#include <stddef.h>

/*
 * Copies with each byte that is not part of valid UTF-8, and each NUL, replaced by U+FFFD.
 * Stops when the next character would not leave room for a terminating NUL, which the
 * caller writes. Returns the bytes written; *ret_consumed tells how many were read.
 */
size_t utf8_clean(const char *from, size_t size, char *to, size_t to_size, size_t *ret_consumed);

/* The same for a text in place of another: cut to fit, always terminated. */
void utf8_copy(char *to, size_t to_size, const char *from);

#endif
