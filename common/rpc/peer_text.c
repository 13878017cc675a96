/* SPDX-License-Identifier: Apache-2.0 */
#include "peer_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/scoped.h"
#include "common/user_id.h"

static int refuse_role(const char *setting, const char *word, const struct peer_role *roles,
		       struct err *err)
{
	char known[128] = "";

	for (const struct peer_role *role = roles; role->word; role++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 role == roles ? "" : ", ", role->word);
	return err_field(err, setting, "%s has role '%s', must be of %s, joined by '+'", setting,
			 word, known);
}

static const struct peer_role *find_role(const struct peer_role *roles, const char *word)
{
	for (; roles->word; roles++)
		if (strcmp(roles->word, word) == 0)
			return roles;
	return NULL;
}

int peer_text_parse_roles(const char *setting, const char *text, const struct peer_role *roles,
			  unsigned *ret, struct err *err)
{
	scoped_free char *copy = strdup(text);
	char *rest = copy;
	unsigned bits = 0;
	const char *word;

	if (!copy)
		return err_sys(err, ENOMEM, "cannot read %s '%s'", setting, text);
	while ((word = strsep(&rest, "+"))) {
		const struct peer_role *role = find_role(roles, word);

		if (!role)
			return refuse_role(setting, word, roles, err);
		bits |= role->bit;
	}
	*ret = bits;
	return 0;
}

int peer_text_parse(const char *text, const struct peer_role *roles, struct rpc_peer *ret,
		    struct err *err)
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
	if (snprintf(peer.name, sizeof(peer.name), "%s", name) >= (int)sizeof(peer.name))
		return err_field(err, "peer", "peer has name '%s', must have at most %zu bytes",
				 name, sizeof(peer.name) - 1);
	if (user_id_parse("peer", user, &peer.uid, err) ||
	    peer_text_parse_roles("peer", rest, roles, &peer.roles, err))
		return -1;
	*ret = peer;
	return 0;
}
