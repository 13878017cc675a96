/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "instance_proto_descriptor_set.h"
#include "log_reader.h"

#define LIST_DEFAULT	 100
#define LIST_MAX	 1000
#define TAIL_DEFAULT	 100
#define TAIL_MAX	 10000
#define FOLLOW_MS	 100 /* how late a new line may come */
#define DELETE_MS	 25000
#define DELETE_MARGIN_MS 1000 /* the answer must be sent before the caller's deadline */

/* Logs a refusal once, where it leaves this service. Returns -1. */
static int refuse(struct rpc_call *call, const char *method, const struct err *err)
{
	const struct rpc_peer *peer = rpc_call_peer(call);

	log_warning("%s: %s (reason=%s peer=%s)", method, err->message,
		    err_reason_info(err->reason)->word, peer ? peer->name : "?");
	return -1;
}

/* Sends and frees. The caller may have gone: then nobody needs the answer. */
static int answer_instance(struct rpc_call *call, ProtobufCMessage *response,
			   Hypeman__Instance__V1__Instance *take_instance)
{
	(void)rpc_call_send(call, response);
	protobuf_c_message_free_unpacked(&take_instance->base, NULL);
	return 0;
}

static int create_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			   struct err *err)
{
	const Hypeman__Instance__V1__CreateInstanceRequest *request =
		(const Hypeman__Instance__V1__CreateInstanceRequest *)message;
	Hypeman__Instance__V1__CreateInstanceResponse response =
		HYPEMAN__INSTANCE__V1__CREATE_INSTANCE_RESPONSE__INIT;
	struct spec *spec;

	if (spec_from_wire(request->instance, &spec, err) < 0 ||
	    instances_create(user, spec, &response.instance, err) < 0)
		return refuse(call, "CreateInstance", err);
	return answer_instance(call, &response.base, response.instance);
}

static int get_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const Hypeman__Instance__V1__GetInstanceRequest *request =
		(const Hypeman__Instance__V1__GetInstanceRequest *)message;
	Hypeman__Instance__V1__GetInstanceResponse response =
		HYPEMAN__INSTANCE__V1__GET_INSTANCE_RESPONSE__INIT;

	if (instances_get(user, request->id, &response.instance, err) < 0)
		return -1;
	return answer_instance(call, &response.base, response.instance);
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

static int list_instances(struct rpc_call *call, const ProtobufCMessage *message, void *user,
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
	    instances_list(user, (int)request->state, after, limit, &response.instances,
			   &response.n_instances, &next, err) < 0)
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

static int delete_instance(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			   struct err *err)
{
	const Hypeman__Instance__V1__DeleteInstanceRequest *request =
		(const Hypeman__Instance__V1__DeleteInstanceRequest *)message;
	const Hypeman__Instance__V1__DeleteInstanceResponse response =
		HYPEMAN__INSTANCE__V1__DELETE_INSTANCE_RESPONSE__INIT;
	int64_t left = rpc_call_time_left_ms(call) - DELETE_MARGIN_MS;

	if (left > DELETE_MS)
		left = DELETE_MS;
	if (instances_delete(user, request->id, left > 0 ? left : 0, err) < 0)
		return refuse(call, "DeleteInstance", err);
	(void)rpc_call_send(call, &response.base);
	return 0;
}

static int read_log_request(const Hypeman__Instance__V1__StreamLogsRequest *request,
			    enum log_source *ret_source, size_t *ret_tail, struct err *err)
{
	*ret_tail = TAIL_DEFAULT;
	if (request->tail_opt_case == HYPEMAN__INSTANCE__V1__STREAM_LOGS_REQUEST__TAIL_OPT_TAIL)
		*ret_tail = request->tail;
	if (*ret_tail > TAIL_MAX)
		return err_field(err, "tail", "tail is %zu: must be at most %d", *ret_tail,
				 TAIL_MAX);
	switch ((int)request->source) {
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_UNSPECIFIED:
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_APP:
		*ret_source = LOG_APP;
		return 0;
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_VMM:
		*ret_source = LOG_VMM;
		return 0;
	case HYPEMAN__INSTANCE__V1__LOG_SOURCE__LOG_SOURCE_HYPEMAN:
		*ret_source = LOG_HYPEMAN;
		return 0;
	default:
		return err_field(err, "source", "source is %d: must be app, vmm or hypeman",
				 (int)request->source);
	}
}

/* Sends what there is. False when the caller has gone. */
static bool send_lines(struct rpc_call *call, struct log_reader *reader, bool unfinished)
{
	Hypeman__Instance__V1__StreamLogsResponse response =
		HYPEMAN__INSTANCE__V1__STREAM_LOGS_RESPONSE__INIT;
	const char *line;

	while ((line = log_reader_next(reader, unfinished))) {
		response.line = (char *)(uintptr_t)line;
		if (rpc_call_send(call, &response.base) < 0)
			return false;
	}
	return true;
}

static int stream_logs(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		       struct err *err)
{
	const Hypeman__Instance__V1__StreamLogsRequest *request =
		(const Hypeman__Instance__V1__StreamLogsRequest *)message;
	scoped(log_reader_close) struct log_reader *reader = NULL;
	enum log_source source = LOG_APP;
	struct id id;
	size_t tail;
	int directory;

	if (read_log_request(request, &source, &tail, err) < 0 ||
	    instances_open_logs(user, request->id, &id, &directory, err) < 0)
		return -1;
	reader = log_reader_open(directory, source, tail);
	if (!reader)
		return err_sys(err, ENOMEM, "cannot read the logs");
	if (!request->follow) {
		(void)send_lines(call, reader, true);
		return 0;
	}
	/* The files are looked at anew: waiting for a change and for the caller at once would
	 * need a descriptor that the call does not have. */
	while (send_lines(call, reader, false) && instances_exists(user, &id))
		if (rpc_call_wait_cancelled(call, FOLLOW_MS))
			return 0;
	(void)send_lines(call, reader, true);
	return 0;
}

static int get_resources(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			 struct err *err)
{
	Hypeman__Instance__V1__GetResourcesResponse *response;

	(void)message;
	if (instances_resources(user, &response, err) < 0)
		return -1;
	(void)rpc_call_send(call, &response->base);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return 0;
}

/* Creation and deletion wait for the agent or for a VM: they must not hold up the others. */
static const struct rpc_method methods[] = {
	{ "CreateInstance", ROLE_OPERATOR, create_instance, RPC_LONG },
	{ "GetInstance", ROLE_READER | ROLE_OPERATOR, get_instance, 0 },
	{ "ListInstances", ROLE_READER | ROLE_OPERATOR, list_instances, 0 },
	{ "DeleteInstance", ROLE_OPERATOR, delete_instance, RPC_LONG },
	{ "StreamLogs", ROLE_READER | ROLE_OPERATOR, stream_logs, RPC_LONG },
	{ "GetResources", ROLE_READER | ROLE_OPERATOR, get_resources, 0 },
	{ NULL, 0, NULL, 0 },
};

int service_add(struct rpc_server *server, struct instances *instances, struct err *err)
{
	if (rpc_server_add_descriptors(server, instance_proto_descriptor_set,
				       instance_proto_descriptor_set_size, err) < 0)
		return -1;
	return rpc_server_add_service(server, &hypeman__instance__v1__instance_service__descriptor,
				      methods, instances, err);
}
