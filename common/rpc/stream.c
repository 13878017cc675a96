/* SPDX-License-Identifier: Apache-2.0 */
#include "client_call.h"

#include <errno.h>
#include <stdlib.h>

#include "message.h"

/*
 * Tags complete on the poller thread. `open_ops` counts those that have not: the stream
 * is freed when none is left.
 */
struct rpc_stream {
	struct client_call call;
	const ProtobufCMethodDescriptor *method;
	struct core_tag headers, status, received, sent;
	grpc_byte_buffer *incoming; /* written by the core */
	struct err broken;	    /* a reply that could not be read; reason NONE: fine */

	pthread_mutex_t lock; /* for what follows, and to start operations in turn */
	pthread_cond_t changed;
	int open_ops;
	bool receiving; /* the core has the operation */
	bool expecting; /* begun, and its result not taken: the caller's thread only */
	bool sending;
	bool send_ok;
	bool status_came;
	bool ended; /* receive returned 0 */
};

static void finish_op(struct rpc_stream *stream, bool *flag, bool value)
{
	pthread_mutex_lock(&stream->lock);
	if (flag)
		*flag = value;
	stream->open_ops--;
	pthread_cond_broadcast(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
}

static void on_headers(struct core_tag *tag, bool ok)
{
	(void)ok;
	finish_op(CORE_CONTAINER(tag, struct rpc_stream, headers), NULL, false);
}

static void on_status(struct core_tag *tag, bool ok)
{
	struct rpc_stream *stream = CORE_CONTAINER(tag, struct rpc_stream, status);

	(void)ok;
	finish_op(stream, &stream->status_came, true);
}

static void on_received(struct core_tag *tag, bool ok)
{
	struct rpc_stream *stream = CORE_CONTAINER(tag, struct rpc_stream, received);

	(void)ok;
	finish_op(stream, &stream->receiving, false);
}

static void on_sent(struct core_tag *tag, bool ok)
{
	struct rpc_stream *stream = CORE_CONTAINER(tag, struct rpc_stream, sent);

	stream->send_ok = ok;
	finish_op(stream, &stream->sending, false);
}

static void start_locked(struct rpc_stream *stream, const grpc_op *ops, size_t count,
			 struct core_tag *tag)
{
	stream->open_ops++;
	core_start(stream->call.core, ops, count, tag);
}

struct rpc_stream *rpc_stream_open(struct rpc_channel *channel,
				   const ProtobufCServiceDescriptor *service, unsigned method,
				   const struct rpc_call_options *options, struct err *err)
{
	struct rpc_stream *stream = calloc(1, sizeof(*stream));
	grpc_op ops[2];

	if (!stream) {
		err_sys(err, ENOMEM, "cannot call %s", service->methods[method].name);
		return NULL;
	}
	if (client_call_init(&stream->call, channel, service, method, options, err)) {
		free(stream);
		return NULL;
	}
	stream->method = &service->methods[method];
	stream->headers.done = on_headers;
	stream->status.done = on_status;
	stream->received.done = on_received;
	stream->sent.done = on_sent;
	pthread_mutex_init(&stream->lock, NULL);
	core_cond_init(&stream->changed);

	pthread_mutex_lock(&stream->lock);
	ops[0] = client_call_receive_status(&stream->call);
	start_locked(stream, ops, 1, &stream->status);
	ops[0] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
	ops[1] = client_call_receive_headers(&stream->call);
	start_locked(stream, ops, 2, &stream->headers);
	pthread_mutex_unlock(&stream->lock);
	return stream;
}

/* Starts a sending operation and waits until it was done or failed. */
static int send_op(struct rpc_stream *stream, const grpc_op *op)
{
	bool ok;

	pthread_mutex_lock(&stream->lock);
	stream->sending = true;
	start_locked(stream, op, 1, &stream->sent);
	while (stream->sending)
		pthread_cond_wait(&stream->changed, &stream->lock);
	ok = stream->send_ok;
	pthread_mutex_unlock(&stream->lock);
	return ok ? 0 : -ECANCELED;
}

int rpc_stream_send(struct rpc_stream *stream, const ProtobufCMessage *message)
{
	grpc_byte_buffer *buffer = message_pack(message);
	const grpc_op op = { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer };
	int r = send_op(stream, &op);

	grpc_byte_buffer_destroy(buffer);
	return r;
}

int rpc_stream_close_send(struct rpc_stream *stream)
{
	const grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };

	return send_op(stream, &op);
}

/* Until `until`, or for ever when that is NULL. False when the time is over. */
static bool wait_received(struct rpc_stream *stream, const struct timespec *until)
{
	const grpc_op op = { .op = GRPC_OP_RECV_MESSAGE,
			     .data.recv_message.recv_message = &stream->incoming };
	bool came;
	int r = 0;

	pthread_mutex_lock(&stream->lock);
	/* What came between two calls is the result of the operation of the first. */
	if (!stream->expecting) {
		stream->expecting = true;
		stream->receiving = true;
		start_locked(stream, &op, 1, &stream->received);
	}
	while (stream->receiving && r == 0) {
		if (until)
			r = pthread_cond_timedwait(&stream->changed, &stream->lock, until);
		else
			r = pthread_cond_wait(&stream->changed, &stream->lock);
	}
	came = !stream->receiving;
	if (came)
		stream->expecting = false;
	pthread_mutex_unlock(&stream->lock);
	return came;
}

static int take_message(struct rpc_stream *stream, ProtobufCMessage **ret)
{
	int r;

	if (!stream->incoming) {
		stream->ended = true;
		return 0;
	}
	r = message_unpack(stream->method->output, stream->incoming, ret, &stream->broken);
	grpc_byte_buffer_destroy(stream->incoming);
	stream->incoming = NULL;
	if (r == 0)
		return 1;
	stream->broken.reason = ERR_INTERNAL; /* the server's fault, not this caller's */
	err_prefix(&stream->broken, "bad reply");
	stream->ended = true;
	rpc_stream_cancel(stream);
	return 0;
}

int rpc_stream_receive(struct rpc_stream *stream, ProtobufCMessage **ret)
{
	if (stream->ended)
		return 0;
	wait_received(stream, NULL);
	return take_message(stream, ret);
}

int rpc_stream_receive_timeout(struct rpc_stream *stream, int timeout_ms, ProtobufCMessage **ret)
{
	const struct timespec until = core_time_after(timeout_ms > 0 ? timeout_ms : 0);

	if (stream->ended)
		return 0;
	if (!wait_received(stream, &until))
		return -ETIMEDOUT;
	return take_message(stream, ret);
}

void rpc_stream_cancel(struct rpc_stream *stream)
{
	grpc_call_cancel(stream->call.core, NULL);
}

int rpc_stream_finish(struct rpc_stream *stream, struct err *err)
{
	int r;

	if (!stream->ended)
		rpc_stream_cancel(stream); /* without effect once the status has come */
	pthread_mutex_lock(&stream->lock);
	while (stream->open_ops > 0)
		pthread_cond_wait(&stream->changed, &stream->lock);
	pthread_mutex_unlock(&stream->lock);

	r = client_call_result(&stream->call, err);
	if (stream->broken.reason != ERR_NONE) {
		*err = stream->broken;
		r = -1;
	}
	client_call_done(&stream->call);
	grpc_byte_buffer_destroy(stream->incoming);
	pthread_mutex_destroy(&stream->lock);
	pthread_cond_destroy(&stream->changed);
	free(stream);
	return r;
}
