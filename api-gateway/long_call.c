/* SPDX-License-Identifier: Apache-2.0 */
#include "long_call.h"

#include <errno.h>

#include "common/duration.h"

#include "proto_message.h"

#define LOOK_INTERVAL_MS   500
#define DEFAULT_TIMEOUT_MS 60000 /* at least the default of every such RPC */
#define NO_TIMEOUT_MS	   600000

/* A text that is no duration is for the service to refuse, at once. */
static int allowed_ms(const struct services *services, const struct route *route,
		      const ProtobufCMessage *request)
{
	const char *text = route->timeout ? *(char **)proto_member(request, route->timeout) : NULL;
	int64_t timeout_ms = text ? DEFAULT_TIMEOUT_MS : NO_TIMEOUT_MS;

	if (text && text[0] && duration_parse(text, &timeout_ms))
		timeout_ms = 0;
	return (int)timeout_ms + services->timeout_ms;
}

/* Why nobody waits for the answer any more. */
static int fail_over(const struct exchange *exchange, struct err *err)
{
	if (exchange_is_stopping(exchange))
		return err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
	return err_set(err, ERR_CANCELLED, "the client has gone");
}

/* False when the answer is given up; *ret stays NULL when there is none. */
static bool receive(struct exchange *exchange, struct rpc_stream *stream, ProtobufCMessage **ret)
{
	ProtobufCMessage *end = NULL;

	while (!exchange_is_over(exchange)) {
		int r = rpc_stream_receive_timeout(stream, LOOK_INTERVAL_MS, ret);

		if (r == -ETIMEDOUT)
			continue;
		if (r == 1 && rpc_stream_receive(stream, &end) == 1) /* the status */
			proto_message_free(end);
		return true;
	}
	return false;
}

static int call(struct exchange *exchange, const struct services *services,
		const struct route *route, const ProtobufCMessage *request, ProtobufCMessage **ret,
		struct err *err)
{
	const struct rpc_call_options options = {
		.timeout_ms = allowed_ms(services, route, request),
	};
	struct rpc_stream *stream =
		rpc_stream_open(services->of[route->service_id].channel, route->service,
				route->rpc_index, &options, err);
	bool received;

	if (!stream)
		return services_explain(services, route, err);
	/* If sending fails the call has ended, and finishing it says why. */
	if (rpc_stream_send(stream, request) == 0)
		rpc_stream_close_send(stream);
	received = receive(exchange, stream, ret);
	if (rpc_stream_finish(stream, err))
		return received ? services_explain(services, route, err) : fail_over(exchange, err);
	if (!*ret)
		return err_set(err, ERR_INTERNAL, "%s did not answer",
			       services->of[route->service_id].name);
	return 0;
}

int long_call_run(struct exchange *exchange, const struct services *services,
		  const struct route *route, const struct call_input *input, struct text *ret,
		  struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *request = NULL;
	scoped(proto_message_free) ProtobufCMessage *answer = NULL;

	if (call_build_request(route, input, &request, err) ||
	    services_check(services, route->service_id, err))
		return -1;
	exchange_watch(exchange);
	if (call(exchange, services, route, request, &answer, err))
		return -1;
	return call_write_answer(services, route, answer, ret, err);
}
