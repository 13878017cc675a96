/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls: what comes back, and how they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

typedef Hypeman__Test__V1__EchoRequest echo_request;
typedef Hypeman__Test__V1__EchoResponse echo_response;

static char *text(const char *value)
{
	return (char *)(uintptr_t)value;
}

static void echo_returns_what_was_sent(void **state)
{
	echo_request request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	uint8_t bytes[] = { 0, 1, 0xff };
	echo_response *response;
	struct err err;

	request.text = text("h\xc3\xa9llo");
	request.payload = (ProtobufCBinaryData){ sizeof(bytes), bytes };
	assert_int_equal(fixture_call(*state, ECHO_ECHO, &request, 5000, &response, &err), 0);

	assert_string_equal(response->text, "h\xc3\xa9llo");
	assert_int_equal(response->payload.len, 3);
	assert_memory_equal(response->payload.data, bytes, 3);
	protobuf_c_message_free_unpacked(&response->base, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(echo_returns_what_was_sent, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, fixture_setup_process, fixture_teardown_process);
}
