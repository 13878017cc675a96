/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers may do with their call (the middle part of rpc.h). */
#include "call.h"

#include <errno.h>

#include "message.h"

const struct rpc_peer *rpc_call_peer(const struct rpc_call *call)
{
	return &call->peer->who;
}

bool rpc_call_cancelled(const struct rpc_call *call)
{
	return atomic_load(&call->cancelled);
}

int64_t rpc_call_time_left_ms(const struct rpc_call *call)
{
	gpr_timespec deadline = call->details.deadline;
	gpr_timespec left;
	int64_t ms;

	if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
		return INT64_MAX;
	left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
	ms = left.tv_sec * 1000 + left.tv_nsec / 1000000;
	return ms > 0 ? ms : 0;
}

/*
 * One message of a stream is on its way at a time: waits for the one before, not for
 * this one, so that the handler makes the next while the I/O thread sends. A caller that
 * does not read stops the handler here, one message later.
 */
static int send_in_stream(struct rpc_call *call, const ProtobufCMessage *message)
{
	grpc_op ops[2] = { 0 };
	size_t count = 0;

	if (!call_wait_sent(call))
		return -ECANCELED;
	call->outgoing = message_pack(message);
	if (!call->headers_sent)
		ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
	call->headers_sent = true;
	ops[count].op = GRPC_OP_SEND_MESSAGE;
	ops[count++].data.send_message.send_message = call->outgoing;
	pthread_mutex_lock(&call->lock);
	call->sending = true;
	pthread_mutex_unlock(&call->lock);
	call_start(call, ops, count, &call->sent);
	return 0;
}

int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	if (rpc_call_cancelled(call))
		return -ECANCELED;
	if (call->method->server_streams)
		return send_in_stream(call, message);
	grpc_byte_buffer_destroy(call->reply);
	call->reply = message_pack(message);
	return 0;
}

/* Asks for the next message, unless an earlier request for it is still open. */
static void start_receive(struct rpc_call *call)
{
	const grpc_op op = {
		.op = GRPC_OP_RECV_MESSAGE,
		.data.recv_message.recv_message = &call->incoming,
	};
	bool open;

	pthread_mutex_lock(&call->lock);
	open = call->receiving;
	call->receiving = true;
	pthread_mutex_unlock(&call->lock);
	if (!open)
		call_start(call, &op, 1, &call->received);
}

int rpc_call_receive(struct rpc_call *call, ProtobufCMessage **ret, struct err *err)
{
	bool came;
	int r;

	if (!call->received_ahead)
		start_receive(call);
	call->received_ahead = false;
	pthread_mutex_lock(&call->lock);
	while (call->receiving && !call->stopping)
		pthread_cond_wait(&call->changed, &call->lock);
	came = !call->receiving;
	pthread_mutex_unlock(&call->lock);
	if (!came)
		return err_set(err, ERR_UNAVAILABLE, "the server is stopping");
	if (!call->incoming) {
		if (rpc_call_cancelled(call) || grpc_call_failed_before_recv_message(call->core))
			return err_set(err, ERR_CANCELLED, "the caller has gone");
		return 0;
	}
	r = message_unpack(call->method->descriptor->input, call->incoming, ret, err);
	grpc_byte_buffer_destroy(call->incoming);
	call->incoming = NULL;
	return r ? -1 : 1;
}

bool rpc_call_wait_cancelled(struct rpc_call *call, int timeout_ms)
{
	const struct timespec until = core_time_after(timeout_ms > 0 ? timeout_ms : 0);
	bool over;
	int r = 0;

	pthread_mutex_lock(&call->lock);
	while (!call->woken && !call->stopping && !atomic_load(&call->cancelled) && r == 0) {
		if (timeout_ms < 0)
			r = pthread_cond_wait(&call->changed, &call->lock);
		else
			r = pthread_cond_timedwait(&call->changed, &call->lock, &until);
	}
	call->woken = false;
	over = call->stopping || atomic_load(&call->cancelled);
	pthread_mutex_unlock(&call->lock);
	return over;
}

static unsigned ready_locked(const struct rpc_call *call, unsigned wanted)
{
	unsigned ready = 0;

	if (call->stopping || atomic_load(&call->cancelled))
		ready |= RPC_OVER;
	if ((wanted & RPC_MAY_RECEIVE) && !call->receiving)
		ready |= RPC_MAY_RECEIVE;
	if ((wanted & RPC_MAY_SEND) && !call->sending)
		ready |= RPC_MAY_SEND;
	return ready;
}

unsigned rpc_call_poll(struct rpc_call *call, unsigned wanted, int timeout_ms)
{
	const struct timespec until = core_time_after(timeout_ms > 0 ? timeout_ms : 0);
	unsigned ready;
	int r = 0;

	if ((wanted & RPC_MAY_RECEIVE) && !call->received_ahead) {
		call->received_ahead = true;
		start_receive(call);
	}
	pthread_mutex_lock(&call->lock);
	while (!(ready = ready_locked(call, wanted)) && !call->woken && r == 0) {
		if (timeout_ms < 0)
			r = pthread_cond_wait(&call->changed, &call->lock);
		else
			r = pthread_cond_timedwait(&call->changed, &call->lock, &until);
	}
	call->woken = false;
	pthread_mutex_unlock(&call->lock);
	return ready;
}

void rpc_call_wake(struct rpc_call *call)
{
	pthread_mutex_lock(&call->lock);
	call->woken = true;
	pthread_cond_broadcast(&call->changed);
	pthread_mutex_unlock(&call->lock);
}
