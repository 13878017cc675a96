/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the command runs as: an image's USER, looked up in the image's own /etc/passwd and
 * /etc/group as Docker does. Names win over numbers; a number needs no entry.
 */

#ifndef INSTANCE_SVC_GUEST_USER_H
#define INSTANCE_SVC_GUEST_USER_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

#define USER_GROUPS_MAX 64

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX]; /* supplementary; beyond that many they are left out */
	size_t group_count;
	char home[256]; /* "/" unless passwd says otherwise */
};

/*
 * Resolves "", "name", "1000", "name:group", "1000:1000". passwd and group are the files'
 * texts, "" where the image has none. Lines that are malformed are passed over. Pure.
 */
int user_lookup(const char *spec, const char *passwd, const char *group, struct user *ret,
		struct err *err);

#endif
