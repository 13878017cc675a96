/* SPDX-License-Identifier: Apache-2.0 */
#include "service_call.h"

#include "common/log.h"

int service_refuse(struct rpc_call *call, const char *method, const struct err *err)
{
	const struct rpc_peer *peer = rpc_call_peer(call);

	log_warning("%s: %s (reason=%s peer=%s)", method, err->message,
		    err_reason_info(err->reason)->word, peer ? peer->name : "?");
	return -1;
}
