/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call, as daemons are told it in settings: "NAME:USER:ROLE[+ROLE...]".
 */

#ifndef COMMON_RPC_PEER_TEXT_H
#define COMMON_RPC_PEER_TEXT_H

#include "common/rpc/rpc.h"

/* The roles that a service knows. */
struct peer_role {
	const char *word; /* the table ends with NULL */
	unsigned bit;
};

/* The error is about the setting "peer" and says which part is wrong and what it takes. */
int peer_text_parse(const char *text, const struct peer_role *roles, struct rpc_peer *ret,
		    struct err *err);

/* ROLE[+ROLE...]; the error is about `setting`. */
int peer_text_parse_roles(const char *setting, const char *text, const struct peer_role *roles,
			  unsigned *ret, struct err *err);

#endif
