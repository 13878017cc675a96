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

static int parse_role(const char *setting, const char *word, unsigned *ret, struct err *err)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].word, word) == 0) {
			*ret |= roles[i].role;
			return 0;
		}
	}
	return err_field(err, setting,
			 "%s has role '%s', must be reader, registrar, allocator or admin", setting,
			 word);
}

static int parse_roles(const char *setting, char *words, unsigned *ret, struct err *err)
{
	const char *word;

	while ((word = strsep(&words, "+")))
		if (parse_role(setting, word, ret, err))
			return -1;
	return 0;
}

static int parse_name(const char *setting, const char *name, struct rpc_peer *peer, struct err *err)
{
	if (strlen(name) >= sizeof(peer->name))
		return err_field(err, setting, "%s has name '%s', must have at most %zu bytes",
				 setting, name, sizeof(peer->name) - 1);
	strcpy(peer->name, name);
	return 0;
}

int peer_parse(const char *text, struct rpc_peer *ret, struct err *err)
{
	scoped_free char *copy = strdup(text);
	struct rpc_peer peer = { 0 };
	char *rest = copy;
	const char *name, *user;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot read peer '%s'", text);
	name = strsep(&rest, ":");
	user = strsep(&rest, ":");
	if (!rest || !name[0] || !user[0] || strchr(rest, ':'))
		return err_field(err, "peer", "peer is '%s', must be NAME:USER:ROLE[+ROLE...]",
				 text);
	if (parse_name("peer", name, &peer, err) || parse_user(user, &peer.uid, err) ||
	    parse_roles("peer", rest, &peer.roles, err))
		return -1;
	*ret = peer;
	return 0;
}

int tls_peer_parse(const char *text, struct rpc_peer *ret, struct err *err)
{
	scoped_free char *copy = strdup(text);
	struct rpc_peer peer = { .uid = (uid_t)-1 };
	char *roles_text = copy ? strrchr(copy, ':') : NULL;
	char *rest = copy;
	const char *name;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot read tls-peer '%s'", text);
	if (roles_text)
		*roles_text++ = '\0';
	name = strsep(&rest, ":");
	if (!roles_text || !rest || !name[0] || !rest[0])
		return err_field(err, "tls-peer",
				 "tls-peer is '%s', must be NAME:SUBJECT-ALT-NAME:ROLE[+ROLE...]",
				 text);
	if (strlen(rest) >= sizeof(peer.san))
		return err_field(
			err, "tls-peer",
			"tls-peer has a subject alternative name of %zu bytes, must be at most %zu",
			strlen(rest), sizeof(peer.san) - 1);
	strcpy(peer.san, rest);
	if (parse_name("tls-peer", name, &peer, err) ||
	    parse_roles("tls-peer", roles_text, &peer.roles, err))
		return -1;
	*ret = peer;
	return 0;
}
