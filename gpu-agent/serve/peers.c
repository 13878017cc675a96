/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/peer_text.h"
#include "common/scoped.h"

static const struct peer_role roles[] = {
	{ "reader", ROLE_READER },
	{ "registrar", ROLE_REGISTRAR },
	{ "allocator", ROLE_ALLOCATOR },
	{ "admin", ROLE_ADMIN },
	{ NULL, 0 },
};

int peer_parse(const char *text, struct rpc_peer *ret, struct err *err)
{
	return peer_text_parse(text, roles, ret, err);
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
	if (strlen(name) >= sizeof(peer.name))
		return err_field(err, "tls-peer",
				 "tls-peer has name '%s', must have at most %zu bytes", name,
				 sizeof(peer.name) - 1);
	strcpy(peer.name, name);
	if (peer_text_parse_roles("tls-peer", roles_text, roles, &peer.roles, err))
		return -1;
	*ret = peer;
	return 0;
}
