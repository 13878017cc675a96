/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "common/scoped.h"

static const struct {
	const char *word;
	enum role role;
} roles[] = {
	{ "reader", ROLE_READER },
	{ "registrar", ROLE_REGISTRAR },
	{ "allocator", ROLE_ALLOCATOR },
	{ "admin", ROLE_ADMIN },
};

static int parse_user(const char *user, uid_t *ret, struct err *err)
{
	const struct passwd *passwd;
	char *end;

	if (isdigit((unsigned char)user[0])) {
		unsigned long long uid = strtoull(user, &end, 10);

		if (*end || uid >= UINT32_MAX)
			return err_field(err, "peer",
					 "peer has uid '%s', must be a number below %u", user,
					 UINT32_MAX);
		*ret = (uid_t)uid;
		return 0;
	}
	errno = 0;
	passwd = getpwnam(user);
	if (!passwd)
		return err_field(err, "peer",
				 "peer has user '%s', which this machine does not know", user);
	*ret = passwd->pw_uid;
	return 0;
}

static int parse_role(const char *word, unsigned *ret, struct err *err)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].word, word) == 0) {
			*ret |= roles[i].role;
			return 0;
		}
	}
	return err_field(err, "peer",
			 "peer has role '%s', must be reader, registrar, allocator or admin", word);
}

int peer_parse(const char *text, struct rpc_peer *ret, struct err *err)
{
	scoped_free char *copy = strdup(text);
	struct rpc_peer peer = { 0 };
	char *rest = copy;
	const char *name, *user, *role;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot read peer '%s'", text);
	name = strsep(&rest, ":");
	user = strsep(&rest, ":");
	if (!rest || !name[0] || !user[0] || strchr(rest, ':'))
		return err_field(err, "peer", "peer is '%s', must be NAME:USER:ROLE[+ROLE...]",
				 text);
	if (snprintf(peer.name, sizeof(peer.name), "%s", name) >= (int)sizeof(peer.name))
		return err_field(err, "peer", "peer has name '%s', must have at most %zu bytes",
				 name, sizeof(peer.name) - 1);
	if (parse_user(user, &peer.uid, err))
		return -1;
	while ((role = strsep(&rest, "+")))
		if (parse_role(role, &peer.roles, err))
			return -1;
	*ret = peer;
	return 0;
}
