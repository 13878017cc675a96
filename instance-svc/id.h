/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of instances: 24 of a-z and 2-7 (120 random bits), the first one a letter. */

#ifndef INSTANCE_SVC_ID_H
#define INSTANCE_SVC_ID_H

#include <stdbool.h>

#define ID_LENGTH 24

struct id {
	char s[ID_LENGTH + 1];
};

/* 0, or -errno when the kernel has no random bytes for us. */
int id_new(struct id *ret);

bool id_is_valid(const char *text);

#define UUID_TEXT_SIZE 37 /* lower case, with the NUL */

struct uuid_text {
	char s[UUID_TEXT_SIZE];
};

struct uuid_text uuid_new(void);
bool uuid_is_valid(const char *text); /* the canonical lower case form only */

#endif
