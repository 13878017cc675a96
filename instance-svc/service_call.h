/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of all services share. */

#ifndef INSTANCE_SVC_SERVICE_CALL_H
#define INSTANCE_SVC_SERVICE_CALL_H

#include "common/rpc/rpc.h"
#include "quota.h"

/* Logs a refusal once, where it leaves this service. Returns -1. */
int service_refuse(struct rpc_call *call, const char *method, const struct err *err);

/*
 * Whose quota a request counts against: the peer's own, or that of `on_behalf` (empty: nobody
 * else), for which the peer needs ROLE_PROXY. *err is about the field `principal`.
 */
int service_read_principal(struct rpc_call *call, const char *on_behalf,
			   char ret[QUOTA_PRINCIPAL_MAX + 1], struct err *err);

#endif
