/* SPDX-License-Identifier: Apache-2.0 */
/* A server's life: setting up, stopping, starting again; health and reflection. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "echo_proto_descriptor_set.h"
#include "fixture.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"

#define HEALTH	     (&grpc__health__v1__health__descriptor)
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef Grpc__Health__V1__HealthCheckRequest check_request;
typedef Grpc__Health__V1__HealthCheckResponse check_response;

/* ---- Setting up ---------------------------------------------------------------- */

static void table_with_an_unknown_method_is_an_error(void **state)
{
	static const struct rpc_method methods[] = { { .name = "Ecko" }, { 0 } };
	struct rpc_server *server = rpc_server_new(NULL);
	struct err err;

	(void)state;
	assert_int_equal(rpc_server_add_descriptors(server, echo_proto_descriptor_set,
						    echo_proto_descriptor_set_size, &err),
			 0);
	assert_int_equal(rpc_server_add_service(server, ECHO, methods, NULL, &err), -1);
	assert_string_equal(err.message, "hypeman.test.v1.EchoService has no method Ecko");
	rpc_server_free(server);
}

static void service_without_descriptors_is_an_error(void **state)
{
	static const struct rpc_method methods[] = { { 0 } };
	struct rpc_server *server = rpc_server_new(NULL);
	struct err err;

	(void)state;
	assert_int_equal(rpc_server_add_service(server, ECHO, methods, NULL, &err), -1);
	assert_int_equal(rpc_server_add_descriptors(server, (const uint8_t *)"\xff", 1, &err), -1);
	rpc_server_free(server);
}

static void two_peers_with_one_uid_are_an_error(void **state)
{
	struct rpc_peer peer = { .name = "gateway", .uid = 1234 };
	struct rpc_peer other = { .name = "instances", .uid = 1234 };
	struct rpc_server *server = rpc_server_new(NULL);
	struct err err;

	(void)state;
	assert_int_equal(rpc_server_add_peer(server, &peer, &err), 0);
	assert_int_equal(rpc_server_add_peer(server, &other, &err), -1);
	assert_string_equal(err.message, "peers gateway and instances have the same uid 1234");
	for (uid_t uid = 2000; uid < 2063; uid++) {
		peer.uid = uid;
		assert_int_equal(rpc_server_add_peer(server, &peer, &err), 0);
	}
	peer.uid = 2063;
	assert_int_equal(rpc_server_add_peer(server, &peer, &err), -1);
	rpc_server_free(server);
}

/* ---- Stopping ------------------------------------------------------------------ */

static void idle_server_stops_at_once(void **state)
{
	struct fixture *fixture = *state;
	int64_t start = now_ms();
	struct err err;

	assert_int_equal(fixture_echo(fixture->channel, "hello", &err), 0);
	fixture_stop_server(fixture, 10000);
	assert_true(now_ms() - start < 5000);
	assert_int_equal(fixture_echo(fixture->channel, "hello", &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
}

static void streams_are_told_at_once_that_the_server_stops(void **state)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct fixture *fixture = *state;
	ProtobufCMessage *message = NULL;
	struct rpc_stream *hold, *chat;
	int64_t start = now_ms();
	struct err err;

	chat = rpc_stream_open(fixture->channel, ECHO, ECHO_CHAT, NULL, &err);
	hold = rpc_stream_open(fixture->channel, ECHO, ECHO_HOLD, NULL, &err);
	rpc_stream_send(hold, &empty.base);
	rpc_stream_send(chat, &empty.base);
	assert_int_equal(rpc_stream_receive(hold, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);
	assert_int_equal(rpc_stream_receive(chat, &message), 1);
	protobuf_c_message_free_unpacked(message, NULL);

	fixture_stop_server(fixture, 10000);

	assert_true(now_ms() - start < 5000);
	assert_int_equal(rpc_stream_receive(hold, &message), 0);
	assert_int_equal(rpc_stream_finish(hold, &err), 0); /* its handler returned 0 */
	assert_int_equal(rpc_stream_receive(chat, &message), 0);
	assert_int_equal(rpc_stream_finish(chat, &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	assert_string_equal(err.message, "the server is stopping");
}

struct busy_call {
	struct fixture *fixture;
	unsigned busy_ms;
	int result;
	struct err err;
};

static void *call_busy(void *arg)
{
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	struct busy_call *call = arg;

	request.busy_ms = call->busy_ms;
	call->result = fixture_call(call->fixture, ECHO_ECHO, &request, 10000, NULL, &call->err);
	return NULL;
}

static void calls_that_end_in_time_are_waited_for(void **state)
{
	struct busy_call call = { .fixture = *state, .busy_ms = 500 };
	pthread_t thread;

	pthread_create(&thread, NULL, call_busy, &call);
	expect_soon(&call.fixture->echo.running, 1);
	fixture_stop_server(call.fixture, 10000);
	pthread_join(thread, NULL);
	assert_int_equal(call.result, 0);
}

static void calls_that_take_longer_are_cancelled(void **state)
{
	struct busy_call call = { .fixture = *state, .busy_ms = 1000 };
	pthread_t thread;
	int64_t start;

	pthread_create(&thread, NULL, call_busy, &call);
	expect_soon(&call.fixture->echo.running, 1);
	start = now_ms();
	fixture_stop_server(call.fixture, 100);
	assert_true(now_ms() - start >= 500); /* the handler itself is waited for */
	pthread_join(thread, NULL);
	assert_int_equal(call.result, -1);
	assert_int_equal(call.err.reason, ERR_UNAVAILABLE);
}

static void client_comes_back_after_a_restart(void **state)
{
	struct fixture *fixture = *state;
	struct err err;

	for (int i = 0; i < 10; i++) {
		int64_t start;

		assert_int_equal(fixture_echo(fixture->channel, "before", &err), 0);
		fixture_stop_server(fixture, 1000);
		assert_int_equal(fixture_echo(fixture->channel, "down", &err), -1);
		assert_int_equal(err.reason, ERR_UNAVAILABLE);
		fixture_start_server(fixture, NULL);
		start = now_ms();
		assert_int_equal(fixture_echo(fixture->channel, "after", &err), 0);
		assert_true(now_ms() - start < 1000);
	}
}

/* ---- Health -------------------------------------------------------------------- */

static int check_health(struct fixture *fixture, const char *service, struct err *err)
{
	check_request request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	int status;

	request.service = (char *)(uintptr_t)service;
	if (rpc_channel_call(fixture->channel, HEALTH, 0, &request.base, NULL, &reply, err))
		return -1;
	status = ((check_response *)reply)->status;
	protobuf_c_message_free_unpacked(reply, NULL);
	return status;
}

static void health_is_known_for_the_server_and_each_service(void **state)
{
	struct fixture *fixture = *state;
	struct err err;

	assert_int_equal(check_health(fixture, "", &err), STATUS(SERVING));
	assert_int_equal(check_health(fixture, ECHO->name, &err), STATUS(SERVING));
	rpc_server_set_health(fixture->server, ECHO->name, false);
	assert_int_equal(check_health(fixture, ECHO->name, &err), STATUS(NOT_SERVING));
	assert_int_equal(check_health(fixture, "", &err), STATUS(SERVING));
	assert_int_equal(check_health(fixture, "no.such.Service", &err), -1);
	assert_int_equal(err.reason, ERR_NOT_FOUND);
}

static int next_status(struct rpc_stream *stream)
{
	ProtobufCMessage *message = NULL;
	int status = -1;

	if (rpc_stream_receive_timeout(stream, 2000, &message) == 1) {
		status = ((check_response *)message)->status;
		protobuf_c_message_free_unpacked(message, NULL);
	}
	return status;
}

static struct rpc_stream *watch_health(struct fixture *fixture, const char *service)
{
	check_request request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc_stream *stream;
	struct err err;

	request.service = (char *)(uintptr_t)service;
	stream = rpc_stream_open(fixture->channel, HEALTH, 1, NULL, &err);
	assert_non_null(stream);
	assert_int_equal(rpc_stream_send(stream, &request.base), 0);
	return stream;
}

static void health_is_watched_until_the_server_stops(void **state)
{
	struct fixture *fixture = *state;
	struct rpc_stream *echo = watch_health(fixture, ECHO->name);
	struct rpc_stream *later = watch_health(fixture, "later");
	struct err err;

	assert_int_equal(next_status(echo), STATUS(SERVING));
	assert_int_equal(next_status(later), STATUS(SERVICE_UNKNOWN));
	rpc_server_set_health(fixture->server, ECHO->name, false);
	assert_int_equal(next_status(echo), STATUS(NOT_SERVING));
	rpc_server_set_health(fixture->server, ECHO->name, true);
	assert_int_equal(next_status(echo), STATUS(SERVING));
	rpc_server_set_health(fixture->server, "later", true);
	assert_int_equal(next_status(later), STATUS(SERVING));

	fixture_stop_server(fixture, 5000);
	assert_int_equal(next_status(echo), STATUS(NOT_SERVING));
	assert_int_equal(next_status(echo), -1);
	assert_int_equal(rpc_stream_finish(echo, &err), -1);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	rpc_stream_finish(later, &err);
}

/* ---- Reflection ---------------------------------------------------------------- */

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

#define ASK(name)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWER(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

/* The caller frees it. */
static reflection_response *ask(struct rpc_stream *stream, int what, const char *text)
{
	reflection_request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	ProtobufCMessage *message = NULL;

	request.message_request_case = what;
	request.list_services = (char *)(uintptr_t)text; /* the members of the union are texts */
	assert_int_equal(rpc_stream_send(stream, &request.base), 0);
	assert_int_equal(rpc_stream_receive(stream, &message), 1);
	return (reflection_response *)message;
}

static void release(reflection_response *response)
{
	protobuf_c_message_free_unpacked(&response->base, NULL);
}

static bool lists(const reflection_response *response, const char *service)
{
	for (size_t i = 0; i < response->list_services_response->n_service; i++)
		if (strcmp(response->list_services_response->service[i]->name, service) == 0)
			return true;
	return false;
}

static void expect_file(reflection_response *response, const char *name, size_t files)
{
	const Grpc__Reflection__V1__FileDescriptorResponse *list;
	Google__Protobuf__FileDescriptorProto *file;

	assert_int_equal(response->message_response_case, ANSWER(FILE_DESCRIPTOR_RESPONSE));
	list = response->file_descriptor_response;
	assert_int_equal(list->n_file_descriptor_proto, files);
	file = google__protobuf__file_descriptor_proto__unpack(
		NULL, list->file_descriptor_proto[0].len, list->file_descriptor_proto[0].data);
	assert_non_null(file);
	assert_string_equal(file->name, name);
	google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
	release(response);
}

static void expect_error(reflection_response *response, int code)
{
	assert_int_equal(response->message_response_case, ANSWER(ERROR_RESPONSE));
	assert_int_equal(response->error_response->error_code, code);
	release(response);
}

static void reflect(struct fixture *fixture, const ProtobufCServiceDescriptor *service)
{
	struct rpc_stream *stream;
	reflection_response *response;
	struct err err;

	stream = rpc_stream_open(fixture->channel, service, 0, NULL, &err);
	assert_non_null(stream);
	response = ask(stream, ASK(LIST_SERVICES), "*");
	assert_int_equal(response->message_response_case, ANSWER(LIST_SERVICES_RESPONSE));
	assert_int_equal(response->list_services_response->n_service, 4);
	assert_true(lists(response, "hypeman.test.v1.EchoService"));
	assert_true(lists(response, "grpc.health.v1.Health"));
	assert_true(lists(response, "grpc.reflection.v1.ServerReflection"));
	assert_true(lists(response, "grpc.reflection.v1alpha.ServerReflection"));
	release(response);

	expect_file(ask(stream, ASK(FILE_CONTAINING_SYMBOL), ECHO->name), "echo.proto", 2);
	expect_file(ask(stream, ASK(FILE_CONTAINING_SYMBOL), "hypeman.test.v1.EchoService.Echo"),
		    "echo.proto", 2);
	expect_file(ask(stream, ASK(FILE_CONTAINING_SYMBOL), "hypeman.test.v1.Node.child"),
		    "echo.proto", 2);
	expect_file(ask(stream, ASK(FILE_CONTAINING_SYMBOL),
			"grpc.health.v1.HealthCheckResponse.ServingStatus"),
		    "grpc/health/v1/health.proto", 1);
	expect_file(ask(stream, ASK(FILE_BY_FILENAME), "google/protobuf/empty.proto"),
		    "google/protobuf/empty.proto", 1);
	expect_error(ask(stream, ASK(FILE_CONTAINING_SYMBOL), "hypeman.test.v1.Nod"), 5);
	expect_error(ask(stream, ASK(FILE_BY_FILENAME), "none.proto"), 5);
	expect_error(ask(stream, ASK(ALL_EXTENSION_NUMBERS_OF_TYPE), "none.Such"), 5);
	expect_error(ask(stream, 0, NULL), 3);
	response = ask(stream, ASK(ALL_EXTENSION_NUMBERS_OF_TYPE), "hypeman.test.v1.Node");
	assert_int_equal(response->message_response_case, ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE));
	release(response);
	rpc_stream_finish(stream, &err);
}

static void reflection_v1_answers(void **state)
{
	reflect(*state, &grpc__reflection__v1__server_reflection__descriptor);
}

static void reflection_v1alpha_answers_the_same(void **state)
{
	ProtobufCServiceDescriptor alpha = grpc__reflection__v1__server_reflection__descriptor;

	/* The messages are the same on the wire; only the path is another. */
	alpha.name = grpc__reflection__v1alpha__server_reflection__descriptor.name;
	reflect(*state, &alpha);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_with_an_unknown_method_is_an_error),
		cmocka_unit_test(service_without_descriptors_is_an_error),
		cmocka_unit_test(two_peers_with_one_uid_are_an_error),
		WITH_SERVER(idle_server_stops_at_once),
		WITH_SERVER(streams_are_told_at_once_that_the_server_stops),
		WITH_SERVER(calls_that_end_in_time_are_waited_for),
		WITH_SERVER(calls_that_take_longer_are_cancelled),
		WITH_SERVER(client_comes_back_after_a_restart),
		WITH_SERVER(health_is_known_for_the_server_and_each_service),
		WITH_SERVER(health_is_watched_until_the_server_stops),
		WITH_SERVER(reflection_v1_answers),
		WITH_SERVER(reflection_v1alpha_answers_the_same),
	};

	return cmocka_run_group_tests(tests, fixture_setup_process, fixture_teardown_process);
}
