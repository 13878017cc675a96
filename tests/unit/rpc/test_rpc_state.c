/* SPDX-License-Identifier: Apache-2.0 */
/* What a client can tell of a server without a call: rpc_channel_state(), state_page.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rpc/state_page.h"
#include "echo.pb-c.h"
#include "fixture.h"

static int call(const struct fixture *fixture, const char *method)
{
	const ProtobufCServiceDescriptor *service = &hypeman__test__v1__echo_service__descriptor;
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	struct err err;
	int r = rpc_channel_call(fixture->channel, service,
				 (unsigned)rpc_method_index(service, method), &request.base, NULL,
				 &reply, &err);

	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	return r;
}

static struct rpc_state state_of(const struct fixture *fixture)
{
	struct rpc_state state;

	assert_true(rpc_channel_state(fixture->channel, &state));
	return state;
}

static int set_up(void **state)
{
	*state = fixture_new(NULL);
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

static void nothing_is_known_before_the_first_call(void **state)
{
	struct fixture *fixture = *state;
	struct rpc_state found;

	assert_false(rpc_channel_state(fixture->channel, &found));
	assert_int_equal(call(fixture, "Echo"), 0);
	state_of(fixture);
}

static void only_what_may_change_something_changes_the_state(void **state)
{
	struct fixture *fixture = *state;
	struct rpc_state before, after;

	assert_int_equal(call(fixture, "Echo"), 0);
	before = state_of(fixture);
	assert_int_equal(call(fixture, "Echo"), 0);
	after = state_of(fixture);
	assert_memory_equal(&before, &after, sizeof(before));

	assert_int_equal(call(fixture, "Silent"), -1); /* refused, but who knows what it did */
	after = state_of(fixture);
	assert_int_equal(after.connection, before.connection);
	assert_int_equal(after.epoch, before.epoch);
	assert_true(after.generation > before.generation);

	before = after;
	rpc_server_note_change(fixture->server);
	after = state_of(fixture);
	assert_true(after.generation > before.generation);
}

static void another_life_of_the_server_is_another_state(void **state)
{
	struct fixture *fixture = *state;
	struct rpc_state before, after;

	assert_int_equal(call(fixture, "Echo"), 0);
	before = state_of(fixture);
	fixture_stop_server(fixture, 0);
	assert_false(rpc_channel_state(fixture->channel, &after));
	fixture_start_server(fixture, NULL);
	assert_false(rpc_channel_state(fixture->channel, &after));
	assert_int_equal(call(fixture, "Echo"), 0);
	after = state_of(fixture);
	assert_true(after.connection != before.connection);
	assert_true(after.epoch != before.epoch);
}

static void only_a_whole_file_of_the_server_is_believed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t epoch, generation;
	char path[128], other[128];
	int fd = state_page_open(fixture->path, getuid());

	assert_true(fd >= 0);
	assert_int_equal(state_page_read(fd, &epoch, &generation), 0);
	close(fd);
	assert_int_equal(state_page_open(fixture->path, getuid() + 1), -1);

	snprintf(path, sizeof(path), "%s.state", fixture->path);
	snprintf(other, sizeof(other), "%s/other", fixture->folder);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(state_page_open(fixture->path, getuid()), -1);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(state_page_open(fixture->path, getuid()), -1);
	unlink(path);

	fclose(fopen(path, "w"));
	fd = state_page_open(fixture->path, getuid());
	assert_true(fd >= 0);
	assert_true(state_page_read(fd, &epoch, &generation) < 0);
	close(fd);
	unlink(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_known_before_the_first_call, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(only_what_may_change_something_changes_the_state,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_life_of_the_server_is_another_state, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(only_a_whole_file_of_the_server_is_believed, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, fixture_setup_process, fixture_teardown_process);
}
