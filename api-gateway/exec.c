/* SPDX-License-Identifier: Apache-2.0 */
#include "exec.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "hypeman/instance/v1/instance_service.pb-c.h"

#include "json_read.h"
#include "proto_message.h"
#include "websocket.h"
#include "websocket_handshake.h"

#define START_WAIT_MS	  10000
#define LOOK_INTERVAL_MS  500
#define DEAF_PING_SECONDS 5
#define PING_SECONDS	  20
#define SILENCE_SECONDS	  60 /* without a pong */
#define INPUT_STACK_BYTES (256 * 1024)

typedef Hypeman__Instance__V1__ExecRequest wire_request;
typedef Hypeman__Instance__V1__ExecResponse wire_response;
typedef Hypeman__Instance__V1__ExecStart wire_start;

/* The thread of the request carries output, another one input. */
struct exec {
	const struct route *route; /* borrowed, as all but the next two */
	struct websocket *socket;  /* owned */
	struct rpc_stream *stream; /* owned */
	struct exchange *exchange;
	const struct services *services;
	const char *id;		 /* of the instance */
	atomic_bool ended;	 /* input is not wanted any more */
	atomic_bool input_waits; /* the command does not read */
	atomic_int code;	 /* that input ended with; 0: it goes on */
	atomic_llong heard;	 /* when the client last said something, in seconds */
	time_t pinged;
	bool exited;
	bool lost; /* the client: nothing can be said to it */
};

static time_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int send_text(struct exec *exec, const struct text *text)
{
	if (text->incomplete)
		return -ENOMEM;
	return websocket_send(exec->socket, WEBSOCKET_TEXT, text->bytes, text->length);
}

/* ---- Input: from the client to the command ---- */

static int send_request(struct exec *exec, const wire_request *request)
{
	int r;

	atomic_store(&exec->input_waits, true);
	r = rpc_stream_send(exec->stream, &request->base);
	atomic_store(&exec->heard, now_seconds());
	atomic_store(&exec->input_waits, false);
	return r;
}

/* Whether the text is one that may follow the first. */
static bool read_text(const struct exec *exec, const struct websocket_message *message,
		      ProtobufCMessage **ret)
{
	struct err *err = malloc(sizeof(*err)); /* too large for the stack; nobody reads it */
	bool good;

	good = err && json_read(exec->route->request, (const char *)message->bytes, message->length,
				ret, err) == 0;
	free(err);
	if (!good)
		return false;
	switch (((wire_request *)*ret)->kind_case) {
	case HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_RESIZE:
	case HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_STDIN_END:
		return true;
	default:
		return false;
	}
}

/* The code to close with, or 0. That an RPC fails is told by the other thread. */
static int take_text(struct exec *exec, const struct websocket_message *message)
{
	scoped(proto_message_free) ProtobufCMessage *request = NULL;

	if (!read_text(exec, message, &request))
		return WEBSOCKET_REFUSED;
	send_request(exec, (wire_request *)request);
	return 0;
}

static void take_binary(struct exec *exec, const struct websocket_message *message)
{
	wire_request request = HYPEMAN__INSTANCE__V1__EXEC_REQUEST__INIT;

	request.kind_case = HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_STDIN;
	request.stdin =
		(ProtobufCBinaryData){ message->length, (uint8_t *)(uintptr_t)message->bytes };
	send_request(exec, &request);
}

/* The code to close with, or 0. */
static int take_message(struct exec *exec, const struct websocket_message *message)
{
	switch (message->opcode) {
	case WEBSOCKET_TEXT:
		return take_text(exec, message);
	case WEBSOCKET_BINARY:
		take_binary(exec, message);
		return 0;
	case WEBSOCKET_PING:
		websocket_pong(exec->socket, message->bytes, message->length);
		return 0;
	case WEBSOCKET_CLOSE:
		return WEBSOCKET_NORMAL;
	default:
		return 0;
	}
}

static void *carry_input(void *user)
{
	struct exec *exec = user;
	int code = 0;

	while (code == 0 && !atomic_load(&exec->ended)) {
		struct websocket_message message;
		int r = websocket_receive(exec->socket, LOOK_INTERVAL_MS, &message);

		if (r == -ETIMEDOUT)
			continue;
		atomic_store(&exec->heard, now_seconds());
		code = r < 0 ? (int)websocket_code_of(r) : take_message(exec, &message);
	}
	atomic_store(&exec->code, code);
	if (code != 0)
		rpc_stream_cancel(exec->stream);
	return NULL;
}

/* ---- Output: from the command to the client ---- */

static int send_exit(struct exec *exec, const Hypeman__Instance__V1__ExecExit *exit)
{
	scoped_text struct text text = { 0 };

	exec->exited = true;
	text_append_format(&text, "{\"exitCode\":%d", exit->exit_code);
	if (exit->error[0]) {
		text_append_string(&text, ",\"error\":");
		text_append_json_string(&text, exit->error);
	}
	text_append_string(&text, "}");
	return send_text(exec, &text);
}

static int send_output(struct exec *exec, const wire_response *response)
{
	switch (response->kind_case) {
	case HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__KIND_STDOUT:
		return websocket_send(exec->socket, WEBSOCKET_BINARY, response->stdout.data,
				      response->stdout.len);
	case HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__KIND_STDERR:
		return websocket_send(exec->socket, WEBSOCKET_BINARY, response->stderr.data,
				      response->stderr.len);
	case HYPEMAN__INSTANCE__V1__EXEC_RESPONSE__KIND_EXIT:
		return send_exit(exec, response->exit);
	default:
		return 0;
	}
}

/*
 * A ping also keeps proxies from closing a session in which nothing is said. While input
 * waits the client's end would wait behind it, unseen: then it is the kernel that answers a
 * ping to a client that is gone, with a reset.
 */
static bool client_is_there(struct exec *exec)
{
	bool deaf = atomic_load(&exec->input_waits);
	time_t now = now_seconds();
	time_t silence = now - (time_t)atomic_load(&exec->heard);
	int pause = deaf ? DEAF_PING_SECONDS : PING_SECONDS;

	if (silence >= pause && now - exec->pinged >= pause) {
		exec->pinged = now;
		websocket_try_send(exec->socket, WEBSOCKET_PING, NULL, 0);
	}
	return deaf || silence < SILENCE_SECONDS;
}

/* Until the command, the client or the gateway ends it. */
static void carry_output(struct exec *exec)
{
	while (!exec->exited && !exec->lost) {
		scoped(proto_message_free) ProtobufCMessage *response = NULL;
		int r = rpc_stream_receive_timeout(exec->stream, LOOK_INTERVAL_MS, &response);

		if (r == 0 || exchange_is_stopping(exec->exchange))
			return;
		exec->lost = (r > 0 && send_output(exec, (wire_response *)response)) ||
			     exchange_is_over(exec->exchange) || !client_is_there(exec);
	}
}

/* ---- The session ---- */

static enum websocket_code code_of(const struct err *err)
{
	int status = err_reason_info(err->reason)->http_status;

	if (status < 500)
		return WEBSOCKET_REFUSED;
	return status == 503 ? WEBSOCKET_TRY_LATER : WEBSOCKET_FAILED;
}

static void close_with_problem(struct exec *exec, const struct err *err)
{
	struct response problem = { 0 };

	response_set_problem(&problem, err);
	send_text(exec, &problem.body);
	websocket_close(exec->socket, code_of(err), err_reason_info(err->reason)->word);
	response_done(&problem);
}

/* Says how it ended: the client's way, ours, the command's, or *err. */
static void end_session(struct exec *exec, const struct err *err)
{
	int code = atomic_load(&exec->code);

	if (exec->lost)
		return;
	if (exec->exited)
		websocket_close(exec->socket, WEBSOCKET_NORMAL, "");
	else if (exchange_is_stopping(exec->exchange))
		websocket_close(exec->socket, WEBSOCKET_GOING_AWAY, "the gateway is stopping");
	else if (code != 0)
		websocket_close(exec->socket, (enum websocket_code)code, "");
	else
		close_with_problem(exec, err);
}

/* The first message but for control frames. */
static int receive_first(struct exec *exec, struct websocket_message *ret)
{
	time_t end = now_seconds() + START_WAIT_MS / 1000;
	int code = 0;

	do {
		int r = websocket_receive(exec->socket, START_WAIT_MS, ret);

		if (r == -ETIMEDOUT || now_seconds() > end)
			return -1;
		if (r < 0)
			code = (int)websocket_code_of(r);
		else if (websocket_opcode_is_control(ret->opcode))
			code = take_message(exec, ret);
		else
			return ret->opcode == WEBSOCKET_TEXT ? 0 : -1;
	} while (code == 0);
	atomic_store(&exec->code, code);
	return -1;
}

static int read_start(struct exec *exec, ProtobufCMessage **ret, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *message = NULL;
	struct websocket_message first;
	wire_start *start;

	if (receive_first(exec, &first))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the first message must be a text like {\"command\":[\"ls\"]}, "
			       "within %d s",
			       START_WAIT_MS / 1000);
	if (json_read(exec->route->filled, (const char *)first.bytes, first.length, &message, err))
		return -1;
	start = (wire_start *)message;
	if (start->id[0])
		return err_field(err, "id", "id is in the path, not in the message");
	if (proto_set_string(&start->id, exec->id))
		return err_sys(err, ENOMEM, "cannot start the command");
	*ret = TAKE_PTR(message);
	return 0;
}

static int start_command(struct exec *exec, struct err *err)
{
	const struct rpc_call_options options = { .timeout_ms = -1 };
	const struct route *route = exec->route;
	scoped(proto_message_free) ProtobufCMessage *start = NULL;
	wire_request request = HYPEMAN__INSTANCE__V1__EXEC_REQUEST__INIT;

	if (read_start(exec, &start, err) || services_check(exec->services, route->service_id, err))
		return -1;
	exec->stream = rpc_stream_open(exec->services->of[route->service_id].channel,
				       route->service, route->rpc_index, &options, err);
	if (!exec->stream)
		return services_explain(exec->services, route, err);
	request.kind_case = HYPEMAN__INSTANCE__V1__EXEC_REQUEST__KIND_START;
	request.start = (wire_start *)start;
	/* If it fails the stream has ended, and finishing it says why. */
	rpc_stream_send(exec->stream, &request.base);
	return 0;
}

/* 0 or an errno. */
static int start_input(struct exec *exec, pthread_t *ret)
{
	pthread_attr_t attributes;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, INPUT_STACK_BYTES);
	r = pthread_create(ret, &attributes, carry_input, exec);
	pthread_attr_destroy(&attributes);
	return r;
}

static void run_session(struct exec *exec, struct err *err)
{
	pthread_t input;
	bool has_input = start_input(exec, &input) == 0;

	if (has_input)
		carry_output(exec);
	atomic_store(&exec->ended, true);
	/* Frees the input thread from waiting until the command reads; the end stays the end. */
	rpc_stream_cancel(exec->stream);
	if (has_input)
		pthread_join(input, NULL);
	if (rpc_stream_finish(exec->stream, err) && has_input)
		services_explain(exec->services, exec->route, err);
	else if (!has_input)
		err_set(err, ERR_OVERLOADED, "no more threads can be started");
	else
		err_set(err, ERR_INTERNAL, "the end of the command is not known");
}

int exec_run(struct exchange *exchange, const struct services *services, const struct route *route,
	     const struct call_input *input, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *filled = proto_message_new(route->filled->pb);
	struct exec exec = { .route = route, .exchange = exchange, .services = services };
	struct websocket_key key;
	int fd;

	if (!filled)
		return err_sys(err, ENOMEM, "cannot start the command");
	if (route_fill(route, input->path, input->query, filled, err) ||
	    websocket_handshake(exchange_request(exchange), &key, err))
		return -1;
	exec.id = ((wire_start *)filled)->id;
	atomic_store(&exec.heard, now_seconds());
	fd = exchange_upgrade(exchange, key.s, err);
	if (fd < 0)
		return -1;
	exec.socket = websocket_new(fd, exchange_stopping(exchange));
	if (!exec.socket)
		return 0; /* the connection ends */
	if (start_command(&exec, err) == 0)
		run_session(&exec, err);
	end_session(&exec, err);
	websocket_free(exec.socket);
	return 0;
}
