/* SPDX-License-Identifier: Apache-2.0 */
/* hypeman.volume.v1.VolumeService, and what of InstanceService is about volumes. */

#ifndef INSTANCE_SVC_SERVICE_VOLUME_H
#define INSTANCE_SVC_SERVICE_VOLUME_H

#include "common/rpc/rpc.h"
#include "instances.h"
#include "volumes.h"

#define SERVICE_VOLUME_NAME "hypeman.volume.v1.VolumeService"

/* After service_add(), which brings the descriptors. Both outlive the server. */
int service_volume_add(struct rpc_server *server, struct volumes *volumes,
		       struct instances *instances, struct err *err);

/* Handlers of InstanceService. */
int service_attach_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err);
int service_detach_volume(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err);

#endif
