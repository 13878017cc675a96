/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by service.c and the files service_*.c only: the handlers, and what they have in common.
 */

#ifndef INSTANCE_SVC_SERVICE_INTERNAL_H
#define INSTANCE_SVC_SERVICE_INTERNAL_H

#include "service.h"
#include "service_call.h"

/* What a handler's `user` points at; all borrowed. */
struct service {
	struct instances *instances;
	struct events *events;
};

/* Sends and frees. The caller may have gone: then nobody needs the answer. */
int service_answer(struct rpc_call *call, ProtobufCMessage *response, ProtobufCMessage *take_part);

/* service_instance.c */
int service_create_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			    struct err *err);
int service_get_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err);
int service_list_instances(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			   struct err *err);
int service_delete_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			    struct err *err);

/* service_life.c */
int service_stop_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err);
int service_start_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			   struct err *err);
int service_standby_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			     struct err *err);
int service_restore_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			     struct err *err);
int service_wait_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			  struct err *err);

int service_get_instance_stats(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			       struct err *err);

/* service_stream.c */
int service_stream_logs(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err);
int service_watch_events(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err);

/* What is left of the caller's deadline for the work itself, at most `most_ms`. */
struct instances_patience service_patience(struct rpc_call *call, int64_t most_ms);

#endif
