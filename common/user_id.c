/* SPDX-License-Identifier: Apache-2.0 */
#include "user_id.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>

/* (uid_t)-1 means "no user" to the kernel. */
static int parse_number(const char *text, uid_t *ret)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || number >= UINT32_MAX)
		return -EINVAL;
	*ret = (uid_t)number;
	return 0;
}

int user_id_parse(const char *setting, const char *text, uid_t *ret, struct err *err)
{
	const struct passwd *user;

	if (parse_number(text, ret) == 0)
		return 0;
	user = getpwnam(text);
	if (!user)
		return err_field(err, setting,
				 "%s has user '%s', must be a user of this machine or a uid below "
				 "%u",
				 setting, text, UINT32_MAX);
	*ret = user->pw_uid;
	return 0;
}
