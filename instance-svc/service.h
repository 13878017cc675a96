/* SPDX-License-Identifier: Apache-2.0 */
/* hypeman.instance.v1.InstanceService: from messages to instances and back. */

#ifndef INSTANCE_SVC_SERVICE_H
#define INSTANCE_SVC_SERVICE_H

#include "common/rpc/rpc.h"
#include "instances.h"

/* Roles of a peer. */
#define ROLE_READER   1U
#define ROLE_OPERATOR 2U
#define ROLE_PROXY    4U /* says in its requests for whom it asks */

#define SERVICE_NAME "hypeman.instance.v1.InstanceService"

/* Both must outlive the server. */
int service_add(struct rpc_server *server, struct instances *instances, struct events *events,
		struct err *err);

#endif
