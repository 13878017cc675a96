/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of the methods about registered devices; who may call them is in service.c. */

#ifndef GPU_AGENT_SERVE_DEVICE_SERVICE_H
#define GPU_AGENT_SERVE_DEVICE_SERVICE_H

#include "service.h"

int register_device(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		    struct err *err);
int get_device(struct rpc_call *call, const ProtobufCMessage *request, void *user, struct err *err);
int list_devices(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		 struct err *err);
int list_available_devices(struct rpc_call *call, const ProtobufCMessage *request, void *user,
			   struct err *err);
int unregister_device(struct rpc_call *call, const ProtobufCMessage *request, void *user,
		      struct err *err);

#endif
