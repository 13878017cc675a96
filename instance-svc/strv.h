/* SPDX-License-Identifier: Apache-2.0 */
/* NULL-terminated arrays of texts, each owned by the array. */

#ifndef INSTANCE_SVC_STRV_H
#define INSTANCE_SVC_STRV_H

#include <stddef.h>

#include "common/scoped.h"

void strv_free(char **strv);
SCOPED_DEFINE(char **, strv_free);

size_t strv_length(char *const *strv); /* NULL: 0 */

/* Appends a copy of text; *strv may be NULL. 0, or -ENOMEM with *strv unchanged. */
int strv_append(char ***strv, const char *text);
int strv_appendf(char ***strv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends copies of all of `more`, which may be NULL. */
int strv_extend(char ***strv, char *const *more);

#endif
