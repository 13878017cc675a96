/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between messages and values: what is asked is checked here and nowhere else, what is
 * answered is laid out here.
 */

#ifndef GPU_AGENT_SERVE_GPU_WIRE_H
#define GPU_AGENT_SERVE_GPU_WIRE_H

#include "allocator.h"
#include "common/rpc/rpc.h"
#include "sync.h"

int create_request_from_wire(const ProtobufCMessage *message, const char *principal,
			     struct create_request *ret, struct err *err);
int delete_request_from_wire(const ProtobufCMessage *message, char ret_id[OPS_UUID_SIZE],
			     struct err *err);
int list_request_from_wire(const ProtobufCMessage *message, size_t *ret_max, uint64_t *ret_after,
			   struct err *err);

int cordon_request_from_wire(const ProtobufCMessage *message, struct pci_addr *ret_slot,
			     const char **ret_reason, struct err *err);
int uncordon_request_from_wire(const ProtobufCMessage *message, struct pci_addr *ret_slot,
			       struct err *err);

/* The ids are in *ret, which the caller ends with sync_request_done(). */
int sync_request_from_wire(const ProtobufCMessage *message, const char *principal,
			   struct sync_request *ret, struct err *err);

/* Where the devices of this host are found. */
struct wire_roots {
	const char *sysfs, *dev;
	bool simulated;
};

int create_reply(struct rpc_call *call, struct allocation *allocation,
		 const struct wire_roots *roots);
int delete_reply(struct rpc_call *call);
int list_reply(struct rpc_call *call, struct allocation *allocations, size_t count, bool more,
	       uint64_t revision, const struct wire_roots *roots, struct err *err);
int cordon_reply(struct rpc_call *call);
int uncordon_reply(struct rpc_call *call);
int sync_reply(struct rpc_call *call, struct sync_result *result, struct err *err);

#endif
