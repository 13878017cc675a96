/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#include "log_limit.h"
#include "message.h"
#include "status.h"
#include "utf8.h"

/* Enough for what arrives between two turns of the I/O thread; more wait in the core. */
#define SLOTS_PER_PEER 8

static void on_accepted(struct core_tag *tag, bool ok);
static void on_received(struct core_tag *tag, bool ok);
static void on_sent(struct core_tag *tag, bool ok);
static void on_closed(struct core_tag *tag, bool ok);
static void on_finished(struct core_tag *tag, bool ok);
static void run_handler(struct pool_job *job);

static void link_running(struct rpc_call *call)
{
	struct rpc_server *server = call->server;

	pthread_mutex_lock(&server->lock);
	call->stopping = server->stopping;
	call->next = server->running;
	if (call->next)
		call->next->previous = call;
	server->running = call;
	pthread_mutex_unlock(&server->lock);
}

/* Out of the lists, last: after this the server may be gone. */
static void leave_server(struct rpc_call *call)
{
	struct rpc_server *server = call->server;

	pthread_mutex_lock(&server->lock);
	if (call->next)
		call->next->previous = call->previous;
	if (call->previous)
		call->previous->next = call->next;
	else if (server->running == call)
		server->running = call->next;
	if (--server->live_calls == 0)
		pthread_cond_broadcast(&server->idle);
	pthread_mutex_unlock(&server->lock);
}

static void call_unref(struct rpc_call *call)
{
	if (atomic_fetch_sub(&call->references, 1) > 1)
		return;
	if (call->core)
		grpc_call_unref(call->core);
	grpc_call_details_destroy(&call->details);
	grpc_metadata_array_destroy(&call->metadata);
	grpc_byte_buffer_destroy(call->incoming);
	grpc_byte_buffer_destroy(call->outgoing);
	grpc_byte_buffer_destroy(call->reply);
	grpc_slice_unref(call->trailer.value);
	leave_server(call);
	pthread_mutex_destroy(&call->lock);
	pthread_cond_destroy(&call->changed);
	gpr_free(call);
}

/* Without memory the core ends the process anyway: so does this. */
static struct rpc_call *call_new(struct server_peer *peer)
{
	struct rpc_call *call = gpr_zalloc(sizeof(*call));

	call->server = peer->server;
	call->peer = peer;
	call->job.run = run_handler;
	call->accepted.done = on_accepted;
	call->received.done = on_received;
	call->sent.done = on_sent;
	call->closed.done = on_closed;
	call->finished.done = on_finished;
	atomic_init(&call->references, 1);
	atomic_init(&call->cancelled, false);
	grpc_call_details_init(&call->details);
	grpc_metadata_array_init(&call->metadata);
	call->trailer.value = grpc_empty_slice();
	pthread_mutex_init(&call->lock, NULL);
	core_cond_init(&call->changed);
	return call;
}

/* Whether one more slot is wanted; if so it is counted. */
static bool reserve_slot(struct server_peer *peer)
{
	struct rpc_server *server = peer->server;
	bool wanted;

	pthread_mutex_lock(&server->lock);
	wanted = !server->stopping && peer->slots < SLOTS_PER_PEER;
	if (wanted) {
		peer->slots++;
		server->live_calls++;
	}
	pthread_mutex_unlock(&server->lock);
	return wanted;
}

static void release_slot(struct server_peer *peer)
{
	pthread_mutex_lock(&peer->server->lock);
	peer->slots--;
	pthread_mutex_unlock(&peer->server->lock);
}

void call_fill_slots(struct server_peer *peer)
{
	while (reserve_slot(peer)) {
		struct rpc_call *call = call_new(peer);

		core_tag_give(&call->accepted);
		if (grpc_server_request_call(peer->core, &call->core, &call->details,
					     &call->metadata, peer->server->queue,
					     peer->server->queue, &call->accepted) != GRPC_CALL_OK)
			abort(); /* the arguments are wrong: our mistake */
	}
}

void call_start(struct rpc_call *call, const grpc_op *ops, size_t count, struct core_tag *tag)
{
	atomic_fetch_add(&call->references, 1);
	core_start(call->core, ops, count, tag);
}

/* A status without a handler having run. */
static void refuse(struct rpc_call *call, enum err_reason reason, const char *why)
{
	struct err err;

	err_set(&err, reason, "%.*s: %s", (int)GRPC_SLICE_LENGTH(call->details.method),
		(const char *)GRPC_SLICE_START_PTR(call->details.method), why);
	call_finish(call, &err);
}

static bool may_call(const struct rpc_call *call)
{
	return call->method->any_peer || (call->method->roles & call->peer->who.roles);
}

static void refuse_role(struct rpc_call *call)
{
	struct err err;

	err_set(&err, ERR_FORBIDDEN, "peer %s may not call %s", call->peer->who.name,
		call->method->path);
	if (log_limit_allows(&call->server->refusals))
		log_warning("%s", err.message);
	call_finish(call, &err);
}

/* Counts a job of the peer; false when it has as many as it may. */
static bool take_place(struct server_peer *peer, bool is_long)
{
	struct rpc_server *server = peer->server;
	const struct rpc_server_options *options = &server->options;
	int limit = is_long ? options->long_calls : options->workers + options->queue;
	int *jobs = is_long ? &peer->long_jobs : &peer->short_jobs;
	bool ok;

	pthread_mutex_lock(&server->lock);
	ok = *jobs < server_share(server, limit);
	*jobs += ok;
	pthread_mutex_unlock(&server->lock);
	return ok;
}

static void leave_place(struct server_peer *peer, bool is_long)
{
	pthread_mutex_lock(&peer->server->lock);
	*(is_long ? &peer->long_jobs : &peer->short_jobs) -= 1;
	pthread_mutex_unlock(&peer->server->lock);
}

static void give_to_pool(struct rpc_call *call)
{
	const bool is_long = call->method->flags & RPC_LONG;
	struct pool *pool = call->server->pool;
	bool ok = take_place(call->peer, is_long);

	if (ok && (is_long ? pool_add_long(pool, &call->job) : pool_add(pool, &call->job)) < 0) {
		leave_place(call->peer, is_long);
		ok = false;
	}
	if (!ok)
		refuse(call, ERR_OVERLOADED, "the server has too many calls to do, try later");
}

static void receive_close(struct rpc_call *call)
{
	const grpc_op op = {
		.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
		.data.recv_close_on_server.cancelled = &call->core_cancelled,
	};

	call_start(call, &op, 1, &call->closed);
}

static void receive_request(struct rpc_call *call)
{
	const grpc_op op = {
		.op = GRPC_OP_RECV_MESSAGE,
		.data.recv_message.recv_message = &call->incoming,
	};

	call_start(call, &op, 1, &call->received);
}

static void on_accepted(struct core_tag *tag, bool ok)
{
	struct rpc_call *call = CORE_CONTAINER(tag, struct rpc_call, accepted);

	release_slot(call->peer);
	if (!ok) {
		call_unref(call); /* the server stops */
		return;
	}
	call_fill_slots(call->peer);
	link_running(call);
	receive_close(call);
	call->method = server_find_method(call->server, call->details.method);
	if (!call->method || !call->method->handler)
		refuse(call, ERR_NOT_IMPLEMENTED, "this server has no such method");
	else if (!may_call(call))
		refuse_role(call);
	else if (call->method->client_streams)
		give_to_pool(call);
	else
		receive_request(call);
}

/* The one request of a call whose requests are not streamed, or the next of a stream. */
static void on_received(struct core_tag *tag, bool ok)
{
	struct rpc_call *call = CORE_CONTAINER(tag, struct rpc_call, received);

	(void)ok;
	if (call->method->client_streams) {
		pthread_mutex_lock(&call->lock);
		call->receiving = false;
		pthread_cond_broadcast(&call->changed);
		pthread_mutex_unlock(&call->lock);
	} else if (call->incoming) {
		give_to_pool(call);
	} else {
		refuse(call, ERR_MALFORMED_MESSAGE, "the request message is missing");
	}
	call_unref(call);
}

static void on_sent(struct core_tag *tag, bool ok)
{
	struct rpc_call *call = CORE_CONTAINER(tag, struct rpc_call, sent);

	pthread_mutex_lock(&call->lock);
	call->sending = false;
	call->send_failed = !ok;
	pthread_cond_broadcast(&call->changed);
	pthread_mutex_unlock(&call->lock);
	call_unref(call);
}

static void on_closed(struct core_tag *tag, bool ok)
{
	struct rpc_call *call = CORE_CONTAINER(tag, struct rpc_call, closed);

	(void)ok;
	if (call->core_cancelled) {
		pthread_mutex_lock(&call->lock);
		atomic_store(&call->cancelled, true);
		pthread_cond_broadcast(&call->changed);
		pthread_mutex_unlock(&call->lock);
	}
	call_unref(call);
}

static void on_finished(struct core_tag *tag, bool ok)
{
	(void)ok;
	call_unref(CORE_CONTAINER(tag, struct rpc_call, finished));
}

void call_set_stopping(struct rpc_call *call)
{
	pthread_mutex_lock(&call->lock);
	call->stopping = true;
	pthread_cond_broadcast(&call->changed);
	pthread_mutex_unlock(&call->lock);
}

bool call_wait_sent(struct rpc_call *call)
{
	bool ok;

	pthread_mutex_lock(&call->lock);
	while (call->sending)
		pthread_cond_wait(&call->changed, &call->lock);
	ok = !call->send_failed;
	pthread_mutex_unlock(&call->lock);
	grpc_byte_buffer_destroy(call->outgoing);
	call->outgoing = NULL;
	return ok;
}

static int run(struct rpc_call *call, struct err *err)
{
	const struct method *method = call->method;
	ProtobufCMessage *request = NULL;
	int r;

	if (atomic_load(&call->cancelled))
		return err_set(err, ERR_CANCELLED, "the caller has gone");
	if (call->incoming &&
	    message_unpack(method->descriptor->input, call->incoming, &request, err))
		return -1;
	r = method->handler(call, request, method->user, err);
	protobuf_c_message_free_unpacked(request, NULL);
	if (r == 0 && !method->server_streams && !call->reply)
		return err_set(err, ERR_INTERNAL, "%s sent no reply", method->path);
	return r;
}

static void run_handler(struct pool_job *job)
{
	struct rpc_call *call = CORE_CONTAINER(job, struct rpc_call, job);
	struct err err = { .reason = ERR_INTERNAL };
	int r = run(call, &err);

	leave_place(call->peer, call->method->flags & RPC_LONG);
	call_finish(call, r ? &err : NULL);
}

/* Adds the operations that say how the call ended. Returns how many. */
static size_t add_status(struct rpc_call *call, const struct err *err, grpc_slice *text,
			 grpc_op *ops)
{
	grpc_op *status = &ops[0];

	*status = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
	if (!err) {
		if (!call->reply)
			return 1;
		ops[1] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE,
				    .data.send_message.send_message = call->reply };
		return 2;
	}
	call->trailer.key = grpc_slice_from_static_string(STATUS_DETAILS_KEY);
	call->trailer.value = status_details_pack(err);
	status->data.send_status_from_server.status =
		(grpc_status_code)err_reason_info(err->reason)->grpc_code;
	status->data.send_status_from_server.status_details = text;
	status->data.send_status_from_server.trailing_metadata_count = 1;
	status->data.send_status_from_server.trailing_metadata = &call->trailer;
	return 1;
}

void call_finish(struct rpc_call *call, const struct err *err)
{
	grpc_op ops[3] = { 0 };
	grpc_slice text = grpc_empty_slice();
	size_t count = 0;

	call_wait_sent(call);
	if (call->method && !(call->method->flags & RPC_READ))
		rpc_server_note_change(call->server);
	if (err) {
		char message[ERR_MESSAGE_MAX];

		memcpy(message, err->message, sizeof(message));
		utf8_repair(message);
		text = grpc_slice_from_copied_string(message);
		log_debug("%.*s by %s: %s (%s)", (int)GRPC_SLICE_LENGTH(call->details.method),
			  (const char *)GRPC_SLICE_START_PTR(call->details.method),
			  call->peer->who.name, message, err_reason_info(err->reason)->word);
	}
	if (!call->headers_sent)
		ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
	count += add_status(call, err, &text, &ops[count]);
	call_start(call, ops, count, &call->finished);
	grpc_slice_unref(text);
	call_unref(call);
}
