/* SPDX-License-Identifier: Apache-2.0 */
#include "client_call.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "message.h"
#include "poller.h"
#include "status.h"

#define TIMEOUT_MS 30000

/* Negative: none. A part of another call has no more time than that one. */
static int timeout_of(const struct rpc_call_options *options)
{
	int timeout_ms = options && options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	int64_t left_ms = INT64_MAX;

	if (options && options->parent)
		left_ms = rpc_call_time_left_ms(options->parent);
	if (left_ms <= INT_MAX && (timeout_ms < 0 || left_ms < timeout_ms))
		return (int)left_ms;
	return timeout_ms;
}

static gpr_timespec deadline_after(int timeout_ms)
{
	if (timeout_ms < 0)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
			    gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

int client_call_init(struct client_call *call, struct rpc_channel *channel,
		     const ProtobufCServiceDescriptor *service, unsigned method,
		     const struct rpc_call_options *options, struct err *err)
{
	const uint32_t inherit = GRPC_PROPAGATE_DEADLINE | GRPC_PROPAGATE_CANCELLATION;
	grpc_completion_queue *queue = poller_queue();
	struct rpc_call *parent = options ? options->parent : NULL;
	grpc_slice path;

	*call = (struct client_call){ .path = channel_path(channel),
				      .timeout_ms = timeout_of(options) };
	snprintf(call->method, sizeof(call->method), "/%s/%s", service->name,
		 service->methods[method].name);
	if (!queue)
		return err_set(err, ERR_UNAVAILABLE, "cannot call %s: no thread can be started",
			       call->method);
	call->connection = channel_connect(channel, err);
	if (!call->connection)
		return -1;
	path = grpc_slice_from_copied_string(call->method);
	call->core = grpc_channel_create_call(call->connection->core, parent ? parent->core : NULL,
					      inherit, queue, path, NULL,
					      deadline_after(call->timeout_ms), NULL);
	grpc_slice_unref(path);
	grpc_metadata_array_init(&call->headers);
	grpc_metadata_array_init(&call->trailers);
	call->text = grpc_empty_slice();
	return 0;
}

void client_call_done(struct client_call *call)
{
	grpc_metadata_array_destroy(&call->headers);
	grpc_metadata_array_destroy(&call->trailers);
	grpc_slice_unref(call->text);
	grpc_call_unref(call->core);
	connection_unref(call->connection);
}

grpc_op client_call_receive_headers(struct client_call *call)
{
	return (grpc_op){
		.op = GRPC_OP_RECV_INITIAL_METADATA,
		.data.recv_initial_metadata.recv_initial_metadata = &call->headers,
	};
}

grpc_op client_call_receive_status(struct client_call *call)
{
	return (grpc_op){
		.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
		.data.recv_status_on_client = { .trailing_metadata = &call->trailers,
						.status = &call->code,
						.status_details = &call->text },
	};
}

/* A status that our server did not send: say what it means in our words. */
static void explain(struct client_call *call, struct err *err)
{
	if (call->code == GRPC_STATUS_DEADLINE_EXCEEDED && call->timeout_ms >= 0)
		err_set(err, ERR_OUTCOME_UNKNOWN, "%s gave no answer within %d ms", call->method,
			call->timeout_ms);
	else if (call->code == GRPC_STATUS_UNAVAILABLE)
		err_prefix(err, "lost the connection to %s", call->path);
	else
		err_prefix(err, "%s", call->method);
}

int client_call_result(struct client_call *call, struct err *err)
{
	if (call->code == GRPC_STATUS_OK)
		return 0;
	if (!status_to_err(call->code, call->text, &call->trailers, err)) {
		if (call->code == GRPC_STATUS_UNAVAILABLE)
			atomic_store(&call->connection->broken, true);
		explain(call, err);
	}
	return -1;
}

static grpc_byte_buffer *exchange(struct client_call *call, const ProtobufCMessage *request)
{
	grpc_byte_buffer *sent = message_pack(request);
	grpc_byte_buffer *reply = NULL;
	struct poller_wait wait;
	const grpc_op ops[] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = sent },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
		client_call_receive_headers(call),
		{ .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &reply },
		client_call_receive_status(call),
	};

	poller_wait_init(&wait);
	core_start(call->core, ops, sizeof(ops) / sizeof(ops[0]), &wait.tag);
	poller_wait(&wait);
	grpc_byte_buffer_destroy(sent);
	return reply;
}

int rpc_channel_call(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
		     unsigned method, const ProtobufCMessage *request,
		     const struct rpc_call_options *options, ProtobufCMessage **ret,
		     struct err *err)
{
	struct client_call call;
	grpc_byte_buffer *reply;
	int r;

	if (client_call_init(&call, channel, service, method, options, err))
		return -1;
	reply = exchange(&call, request);
	r = client_call_result(&call, err);
	if (r == 0 && !reply)
		r = err_set(err, ERR_INTERNAL, "%s: the reply is missing", call.method);
	if (r == 0 && message_unpack(service->methods[method].output, reply, ret, err)) {
		err->reason = ERR_INTERNAL; /* the server's fault, not this caller's */
		r = err_prefix(err, "bad reply");
	}
	grpc_byte_buffer_destroy(reply);
	client_call_done(&call);
	return r;
}

int rpc_method_index(const ProtobufCServiceDescriptor *service, const char *name)
{
	for (unsigned i = 0; i < service->n_methods; i++)
		if (strcmp(service->methods[i].name, name) == 0)
			return (int)i;
	return -1;
}
