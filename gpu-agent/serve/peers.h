/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call, as the settings `peer` and `tls-peer` say it. */

#ifndef GPU_AGENT_SERVE_PEERS_H
#define GPU_AGENT_SERVE_PEERS_H

#include "common/err.h"
#include "common/rpc/rpc.h"

enum role {
	ROLE_READER = 1 << 0,
	ROLE_REGISTRAR = 1 << 1,
	ROLE_ALLOCATOR = 1 << 2,
	ROLE_ADMIN = 1 << 3, /* may do what every role may, to everybody's allocations */
};

/* "name:user-or-uid:role+role" */
int peer_parse(const char *text, struct rpc_peer *ret, struct err *err);

/* "name:subject-alternative-name:role+role"; the name in the middle may have colons. */
int tls_peer_parse(const char *text, struct rpc_peer *ret, struct err *err);

#endif
