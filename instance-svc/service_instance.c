/* SPDX-License-Identifier: Apache-2.0 */
/* Instances made, looked at, and deleted. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_internal.h"

#define LIST_DEFAULT 100
#define LIST_MAX     1000
#define CREATE_MS    25000
#define DELETE_MS    25000

/* NULL when there is none. */
static int read_request_id(struct rpc_call *call, const char *id, struct record_request *ret,
			   struct record_request **ret_used, struct err *err)
{
	const struct rpc_peer *peer = rpc_call_peer(call);
	size_t length = strlen(id);

	*ret_used = NULL;
	if (length == 0)
		return 0;
	for (const char *c = id; *c; c++)
		if (length > RECORD_REQUEST_ID_MAX || *c < 0x20 || *c > 0x7e)
			return err_field(err, "request_id",
					 "request_id is '%.64s': must be at most %d printable "
					 "ASCII characters",
					 id, RECORD_REQUEST_ID_MAX);
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->principal, sizeof(ret->principal), "%s", peer ? peer->name : "");
	memcpy(ret->id, id, length + 1);
	*ret_used = ret;
	return 0;
}

int service_create_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			    struct err *err)
{
	const Hypeman__Instance__V1__CreateInstanceRequest *request =
		(const Hypeman__Instance__V1__CreateInstanceRequest *)message;
	Hypeman__Instance__V1__CreateInstanceResponse response =
		HYPEMAN__INSTANCE__V1__CREATE_INSTANCE_RESPONSE__INIT;
	const struct instances_patience patience = service_patience(call, CREATE_MS);
	struct instances *instances = ((const struct service *)user)->instances;
	char principal[QUOTA_PRINCIPAL_MAX + 1];
	struct record_request id, *used;
	struct spec *spec;

	if (service_read_principal(call, request->principal, principal, err) < 0 ||
	    read_request_id(call, request->request_id, &id, &used, err) < 0 ||
	    spec_from_wire(request->instance, &spec, err) < 0 ||
	    instances_create(instances, spec, principal, used, &patience, &response.instance, err) <
		    0)
		return service_refuse(call, "CreateInstance", err);
	return service_answer(call, &response.base, &response.instance->base);
}

int service_get_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err)
{
	const Hypeman__Instance__V1__GetInstanceRequest *request =
		(const Hypeman__Instance__V1__GetInstanceRequest *)message;
	Hypeman__Instance__V1__GetInstanceResponse response =
		HYPEMAN__INSTANCE__V1__GET_INSTANCE_RESPONSE__INIT;

	if (instances_get(((const struct service *)user)->instances, request->id,
			  &response.instance, err) < 0)
		return -1;
	return service_answer(call, &response.base, &response.instance->base);
}

/* A page token is the sequence of the last instance of the page before. */
static int read_token(const char *token, uint64_t *ret, struct err *err)
{
	char *end;

	*ret = 0;
	if (*token == '\0')
		return 0;
	errno = 0;
	*ret = strtoull(token, &end, 10);
	if (*end || errno || *token == '-' || *token == '+' || *token == ' ')
		return err_field(err, "page_token",
				 "page_token is '%.64s': must be a next_page_token of an earlier "
				 "answer",
				 token);
	return 0;
}

int service_list_instances(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			   struct err *err)
{
	const Hypeman__Instance__V1__ListInstancesRequest *request =
		(const Hypeman__Instance__V1__ListInstancesRequest *)message;
	Hypeman__Instance__V1__ListInstancesResponse response =
		HYPEMAN__INSTANCE__V1__LIST_INSTANCES_RESPONSE__INIT;
	size_t limit = request->page_size ? request->page_size : LIST_DEFAULT;
	uint64_t after, next;
	char token[32] = "";

	if (limit > LIST_MAX)
		return err_field(err, "page_size", "page_size is %" PRIu32 ": must be at most %d",
				 request->page_size, LIST_MAX);
	if (request->state != 0 && !state_is_valid((int)request->state))
		return err_field(err, "state", "state is %d, which is none", (int)request->state);
	if (read_token(request->page_token, &after, err) < 0 ||
	    instances_list(((const struct service *)user)->instances, (int)request->state, after,
			   limit, &response.instances, &response.n_instances, &next, err) < 0)
		return -1;
	if (next > 0)
		snprintf(token, sizeof(token), "%" PRIu64, next);
	response.next_page_token = token;
	(void)rpc_call_send(call, &response.base);
	for (size_t i = 0; i < response.n_instances; i++)
		protobuf_c_message_free_unpacked(&response.instances[i]->base, NULL);
	free(response.instances);
	return 0;
}

int service_delete_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			    struct err *err)
{
	const Hypeman__Instance__V1__DeleteInstanceRequest *request =
		(const Hypeman__Instance__V1__DeleteInstanceRequest *)message;
	const Hypeman__Instance__V1__DeleteInstanceResponse response =
		HYPEMAN__INSTANCE__V1__DELETE_INSTANCE_RESPONSE__INIT;
	const struct instances_patience patience = service_patience(call, DELETE_MS);

	if (instances_delete(((const struct service *)user)->instances, request->id, &patience,
			     err) < 0)
		return service_refuse(call, "DeleteInstance", err);
	(void)rpc_call_send(call, &response.base);
	return 0;
}
