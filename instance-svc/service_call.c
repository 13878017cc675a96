/* SPDX-License-Identifier: Apache-2.0 */
#include "service_call.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "service.h"

int service_refuse(struct rpc_call *call, const char *method, const struct err *err)
{
	const struct rpc_peer *peer = rpc_call_peer(call);

	log_warning("%s: %s (reason=%s peer=%s)", method, err->message,
		    err_reason_info(err->reason)->word, peer ? peer->name : "?");
	return -1;
}

static bool is_text(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

int service_read_principal(struct rpc_call *call, const char *on_behalf,
			   char ret[QUOTA_PRINCIPAL_MAX + 1], struct err *err)
{
	const struct rpc_peer *peer = rpc_call_peer(call);

	if (*on_behalf && !(peer->roles & ROLE_PROXY))
		return err_set(err, ERR_FORBIDDEN,
			       "peer %s may not say for whom it asks: it lacks the role proxy",
			       peer->name);
	if (strlen(on_behalf) > QUOTA_ON_BEHALF_MAX || !is_text(on_behalf))
		return err_field(err, "principal",
				 "principal must be at most %d bytes without control characters",
				 QUOTA_ON_BEHALF_MAX);
	snprintf(ret, QUOTA_PRINCIPAL_MAX + 1, "%s%s%s", peer->name, *on_behalf ? "/" : "",
		 on_behalf);
	return 0;
}
