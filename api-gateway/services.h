/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC services behind the gateway. Every call ends within the time limit, and a
 * failure says which service it came from.
 */

#ifndef API_GATEWAY_SERVICES_H
#define API_GATEWAY_SERVICES_H

#include <stdatomic.h>
#include <sys/types.h>

#include <protobuf-c/protobuf-c.h>

#include "common/err.h"
#include "common/rpc/rpc.h"
#include "common/scoped.h"

#include "route.h"

#define SERVICES_CODE_COUNT 17 /* gRPC status codes */

struct service {
	const char *name; /* "gpu-agent" */
	struct rpc_channel *channel;
	atomic_ullong *errors; /* calls that failed, by code; owned */
};

/* Indexed by service_id; read by any thread. */
struct services {
	struct service of[SERVICE_COUNT];
	int timeout_ms;
};

/* One service's socket, and the uid that must own it ((uid_t)-1: any). 0 or -1 with *err. */
int services_add(struct services *services, enum service_id id, const char *name,
		 const char *socket, uid_t uid, struct err *err);
void services_done(struct services *services);

/*
 * The route's RPC. A read that got no answer in time is UNAVAILABLE: trying again is
 * safe. A write is OUTCOME_UNKNOWN. *ret is freed with proto_message_free().
 */
int services_call(const struct services *services, const struct route *route,
		  const ProtobufCMessage *request, int timeout_ms, ProtobufCMessage **ret,
		  struct err *err);

/*
 * Turns a failure of the route's RPC into one of the request: names the service when it
 * was lost or late, and fields as the body has them. Returns -1.
 */
int services_explain(const struct services *services, const struct route *route, struct err *err);

/* As services_explain(), for a read that is not a route's alone. */
int services_explain_read(const struct services *services, enum service_id id, struct err *err);

/* A call of the gateway's own, by the method's name; as services_call() otherwise. */
int services_query(const struct services *services, enum service_id id,
		   const ProtobufCServiceDescriptor *api, const char *method,
		   const ProtobufCMessage *request, int timeout_ms, ProtobufCMessage **ret,
		   struct err *err);

/* Calls of the service that failed with this code since the start. */
unsigned long long services_error_count(const struct services *services, enum service_id id,
					int code);

/* "UNAVAILABLE" */
const char *services_code_name(int code);

/* What rpc_channel_state() says of each service; false when it does not of all. */
struct services_state {
	struct rpc_state of[SERVICE_COUNT];
};
bool services_state(const struct services *services, struct services_state *ret);

/* grpc.health.v1: 0 when the service says within five seconds that it is serving. */
int services_check(const struct services *services, enum service_id id, struct err *err);

#endif
