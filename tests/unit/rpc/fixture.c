/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

int fixture_setup_process(void **state)
{
	struct err err;

	(void)state;
	return rpc_global_init(&err);
}

int fixture_teardown_process(void **state)
{
	(void)state;
	rpc_global_done();
	return 0;
}

static void expect_ok(int r, const struct err *err)
{
	if (r)
		fail_msg("%s", err->message);
}

void fixture_start_server(struct fixture *fixture, const struct rpc_server_options *options)
{
	struct rpc_peer peer = { .name = "tester", .uid = getuid(), .roles = ECHO_ROLE };
	struct err err;

	fixture->server = rpc_server_new(options);
	assert_non_null(fixture->server);
	expect_ok(echo_add(fixture->server, &fixture->echo, &err), &err);
	expect_ok(rpc_server_add_peer(fixture->server, &peer, &err), &err);
	expect_ok(rpc_server_listen_unix(fixture->server, fixture->path, 0666, &err), &err);
	expect_ok(rpc_server_start(fixture->server, &err), &err);
}

void fixture_stop_server(struct fixture *fixture, int grace_ms)
{
	rpc_server_stop(fixture->server, grace_ms);
	rpc_server_free(fixture->server);
	fixture->server = NULL;
}

struct fixture *fixture_new(const struct rpc_server_options *options)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	strcpy(fixture->folder, "/tmp/hypeman-rpc.XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/sock", fixture->folder);
	fixture->channel = rpc_channel_new(fixture->path, getuid());
	fixture->echo.self = rpc_channel_new(fixture->path, getuid());
	assert_non_null(fixture->channel);
	assert_non_null(fixture->echo.self);
	fixture_start_server(fixture, options);
	return fixture;
}

void fixture_free(struct fixture *fixture)
{
	char beside[128];

	rpc_channel_free(fixture->channel);
	rpc_channel_free(fixture->echo.self);
	if (fixture->server)
		fixture_stop_server(fixture, 0);
	snprintf(beside, sizeof(beside), "%s.lock", fixture->path);
	(void)unlink(beside);
	snprintf(beside, sizeof(beside), "%s.state", fixture->path);
	(void)unlink(beside);
	assert_int_equal(rmdir(fixture->folder), 0); /* nothing else was left */
	free(fixture);
}

int fixture_setup(void **state)
{
	*state = fixture_new(NULL);
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

int fixture_call(struct fixture *fixture, enum echo_method method,
		 const Hypeman__Test__V1__EchoRequest *request, int timeout_ms,
		 Hypeman__Test__V1__EchoResponse **ret, struct err *err)
{
	const struct rpc_call_options options = { .timeout_ms = timeout_ms };
	ProtobufCMessage *reply = NULL;

	if (rpc_channel_call(fixture->channel, ECHO, method, &request->base, &options, &reply, err))
		return -1;
	assert_non_null(reply);
	if (ret)
		*ret = (Hypeman__Test__V1__EchoResponse *)reply;
	else
		protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

int fixture_echo(struct rpc_channel *channel, const char *text, struct err *err)
{
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	const struct rpc_call_options options = { .timeout_ms = 5000 };
	ProtobufCMessage *reply = NULL;

	request.text = (char *)(uintptr_t)text;
	if (rpc_channel_call(channel, ECHO, ECHO_ECHO, &request.base, &options, &reply, err))
		return -1;
	assert_string_equal(((Hypeman__Test__V1__EchoResponse *)reply)->text, text);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void expect_soon(atomic_int *value, int expected)
{
	for (int i = 0; i < 10000 && atomic_load(value) != expected; i++)
		usleep(1000);
	assert_int_equal(atomic_load(value), expected);
}
