/* SPDX-License-Identifier: Apache-2.0 */
/* CheckHost: what the root side finds when it looks whether this host is ready. */

#ifndef GPU_AGENT_SERVE_CHECK_SERVICE_H
#define GPU_AGENT_SERVE_CHECK_SERVICE_H

#include "service.h"

int check_host(struct rpc_call *call, const ProtobufCMessage *request, void *user, struct err *err);

#endif
