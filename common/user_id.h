/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of this machine in settings: a name of the user database, or a number.
 */

#ifndef COMMON_USER_ID_H
#define COMMON_USER_ID_H

#include <sys/types.h>

#include "common/err.h"

/* The error is about `setting` and says what it takes. Not thread safe (getpwnam). */
int user_id_parse(const char *setting, const char *text, uid_t *ret, struct err *err);

#endif
