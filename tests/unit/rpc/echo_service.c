/* SPDX-License-Identifier: Apache-2.0 */
#include "echo_service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo_proto_descriptor_set.h"

typedef Hypeman__Test__V1__EchoRequest echo_request;
typedef Hypeman__Test__V1__EchoResponse echo_response;

static int fail(const echo_request *request, struct err *err)
{
	enum err_reason reason = err_reason_parse(request->fail_reason);

	err_set(err, reason ? reason : ERR_INTERNAL, "asked to fail: %s, 100%% of \xc3\xa4",
		request->text);
	snprintf(err->field, sizeof(err->field), "echo.text");
	for (int i = 0; i < ERR_DETAILS_MAX; i++) {
		char subject[16];

		snprintf(subject, sizeof(subject), "part-%d", i);
		err_add_detail(err, "size_locked", subject, "%s", request->text);
	}
	return -1;
}

static int wait_a_while(struct rpc_call *call, struct echo *echo, uint32_t ms, struct err *err)
{
	if (!ms || !rpc_call_wait_cancelled(call, (int)ms))
		return 0;
	atomic_fetch_add(&echo->cancelled, 1);
	return err_set(err, ERR_CANCELLED, "the caller has gone");
}

static int reply_to(struct rpc_call *call, const echo_request *request)
{
	echo_response response = HYPEMAN__TEST__V1__ECHO_RESPONSE__INIT;
	int64_t left = rpc_call_time_left_ms(call);
	uint8_t *payload = NULL;
	int r;

	response.text = request->text;
	response.payload = request->payload;
	if (request->reply_bytes_opt_case) {
		payload = calloc(1, request->reply_bytes + 1u);
		response.payload.data = payload;
		response.payload.len = payload ? request->reply_bytes : 0;
	}
	response.peer = (char *)(uintptr_t)rpc_call_peer(call)->name;
	response.uid = rpc_call_peer(call)->uid;
	response.time_left_ms = left == INT64_MAX ? -1 : left;
	r = rpc_call_send(call, &response.base);
	free(payload);
	return r;
}

static int handle_echo(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		       struct err *err)
{
	const echo_request *request = (const echo_request *)message;

	if (request->busy_ms) {
		struct echo *echo = user;

		atomic_fetch_add(&echo->running, 1);
		usleep(request->busy_ms * 1000);
		atomic_fetch_sub(&echo->running, 1);
	}
	if (wait_a_while(call, user, request->delay_ms, err))
		return -1;
	if (request->fail_reason[0])
		return fail(request, err);
	reply_to(call, request);
	return 0;
}

static int handle_count(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const Hypeman__Test__V1__CountRequest *request =
		(const Hypeman__Test__V1__CountRequest *)message;
	uint8_t *payload = calloc(1, request->payload_bytes + 1u);
	int r = 0;

	for (uint32_t i = 0; i < request->count && r == 0; i++) {
		Hypeman__Test__V1__CountResponse response = HYPEMAN__TEST__V1__COUNT_RESPONSE__INIT;

		if (request->fail_after && i == request->fail_after)
			r = err_set(err, ERR_ABORTED, "failed after %u", i);
		else if (i)
			r = wait_a_while(call, user, request->interval_ms, err);
		response.number = i;
		response.payload.data = payload;
		response.payload.len = payload ? request->payload_bytes : 0;
		if (r == 0 && rpc_call_send(call, &response.base))
			r = err_set(err, ERR_CANCELLED, "the caller has gone");
	}
	free(payload);
	return r;
}

static int handle_chat(struct rpc_call *call, const ProtobufCMessage *none, void *user,
		       struct err *err)
{
	ProtobufCMessage *message = NULL;
	int more;

	(void)none;
	while ((more = rpc_call_receive(call, &message, err)) > 0) {
		const echo_request *request = (const echo_request *)message;
		int r = request->fail_reason[0] ? fail(request, err) : 0;

		if (r == 0)
			r = wait_a_while(call, user, request->delay_ms, err);
		if (r == 0)
			reply_to(call, request);
		protobuf_c_message_free_unpacked(message, NULL);
		if (r)
			return r;
	}
	return more;
}

static int handle_collect(struct rpc_call *call, const ProtobufCMessage *none, void *user,
			  struct err *err)
{
	Hypeman__Test__V1__CollectResponse response = HYPEMAN__TEST__V1__COLLECT_RESPONSE__INIT;
	ProtobufCMessage *message = NULL;
	int more;

	(void)none;
	(void)user;
	while ((more = rpc_call_receive(call, &message, err)) > 0) {
		response.count++;
		protobuf_c_message_free_unpacked(message, NULL);
	}
	if (more < 0)
		return -1;
	rpc_call_send(call, &response.base);
	return 0;
}

static int handle_hold(struct rpc_call *call, const ProtobufCMessage *none, void *user,
		       struct err *err)
{
	Hypeman__Test__V1__CountResponse response = HYPEMAN__TEST__V1__COUNT_RESPONSE__INIT;
	struct echo *echo = user;

	(void)none;
	atomic_fetch_add(&echo->running, 1);
	rpc_call_send(call, &response.base);
	rpc_call_wait_cancelled(call, -1);
	atomic_fetch_sub(&echo->running, 1);
	if (rpc_call_cancelled(call)) {
		atomic_fetch_add(&echo->cancelled, 1);
		return err_set(err, ERR_CANCELLED, "the caller has gone");
	}
	return 0; /* the server stops */
}

static int handle_relay(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	const struct rpc_call_options options = { .parent = call };
	struct echo *echo = user;
	ProtobufCMessage *reply = NULL;

	if (rpc_channel_call(echo->self, ECHO, ECHO_ECHO, message, &options, &reply, err))
		return -1;
	rpc_call_send(call, reply);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

static int handle_silent(struct rpc_call *call, const ProtobufCMessage *none, void *user,
			 struct err *err)
{
	(void)call;
	(void)none;
	(void)user;
	(void)err;
	return 0;
}

int echo_add(struct rpc_server *server, struct echo *echo, struct err *err)
{
	static const struct rpc_method methods[] = {
		{ "Echo", ECHO_ROLE, handle_echo, RPC_READ },
		{ "Count", ECHO_ROLE, handle_count, 0 },
		{ "Chat", ECHO_ROLE, handle_chat, 0 },
		{ "Collect", ECHO_ROLE, handle_collect, 0 },
		{ "Hold", ECHO_ROLE, handle_hold, RPC_LONG },
		{ "Relay", ECHO_ROLE, handle_relay, 0 },
		{ "Forbidden", ECHO_ROLE_UNUSED, handle_silent, 0 },
		{ "Silent", ECHO_ROLE, handle_silent, 0 },
		{ 0 },
	};

	if (rpc_server_add_descriptors(server, echo_proto_descriptor_set,
				       echo_proto_descriptor_set_size, err) ||
	    rpc_server_add_service(server, ECHO, methods, echo, err))
		return -1;
	return rpc_server_add_standard_services(server, err);
}
