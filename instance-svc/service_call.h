/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of all services share. */

#ifndef INSTANCE_SVC_SERVICE_CALL_H
#define INSTANCE_SVC_SERVICE_CALL_H

#include "common/rpc/rpc.h"

/* Logs a refusal once, where it leaves this service. Returns -1. */
int service_refuse(struct rpc_call *call, const char *method, const struct err *err);

#endif
