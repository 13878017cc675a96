/* SPDX-License-Identifier: Apache-2.0 */
/* Registered devices as messages. */

#ifndef GPU_AGENT_SERVE_DEVICE_WIRE_H
#define GPU_AGENT_SERVE_DEVICE_WIRE_H

#include "common/rpc/rpc.h"
#include "device.h"

/* *ret_name is the message's. */
int register_request_from_wire(const ProtobufCMessage *message, struct pci_addr *ret_address,
			       const char **ret_name, struct err *err);
int device_list_request_from_wire(const ProtobufCMessage *message, size_t *ret_max,
				  size_t *ret_skip, struct err *err);

int register_reply(struct rpc_call *call, struct device_state *device);
int get_device_reply(struct rpc_call *call, struct device_state *device);
int list_devices_reply(struct rpc_call *call, struct device_state *devices, size_t count,
		       size_t skip, bool more, struct err *err);
int list_available_reply(struct rpc_call *call, struct function *functions, size_t count,
			 struct err *err);
int unregister_reply(struct rpc_call *call);

#endif
