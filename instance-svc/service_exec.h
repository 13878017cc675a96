/* SPDX-License-Identifier: Apache-2.0 */
/* InstanceService's methods that talk to a guest: Exec and StatPath. User: struct service. */

#ifndef INSTANCE_SVC_SERVICE_EXEC_H
#define INSTANCE_SVC_SERVICE_EXEC_H

#include "common/rpc/rpc.h"

int service_exec(struct rpc_call *call, const ProtobufCMessage *none, void *user, struct err *err);
int service_stat_path(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		      struct err *err);

#endif
