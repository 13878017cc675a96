/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hypeman/instance/v1/instance_service.pb-c.h"
#include "instance-svc/state.h"

/* Rows: from; columns: to. As the design's life of an instance has it. */
static const char *const expected[] = {
	/*                  C I R P S T B U */
	[STATE_CREATED] = "YY...Y..",  [STATE_INITIALIZING] = ".YY.YY..",
	[STATE_RUNNING] = "..YYYYYY",  [STATE_PAUSED] = "..YYYYYY",
	[STATE_SHUTDOWN] = "....YY.Y", [STATE_STOPPED] = ".Y...Y..",
	[STATE_STANDBY] = ".Y...YY.",  [STATE_UNKNOWN] = "..YYYY.Y",
};

static void transitions_are_those_of_the_table(void **state)
{
	(void)state;
	for (int from = STATE_CREATED; from <= STATE_UNKNOWN; from++)
		for (int to = STATE_CREATED; to <= STATE_UNKNOWN; to++)
			if (state_may_become((enum instance_state)from, (enum instance_state)to) !=
			    (expected[from][to - 1] == 'Y'))
				fail_msg("%s to %s", state_text((enum instance_state)from),
					 state_text((enum instance_state)to));
}

static void numbers_that_are_no_state_go_nowhere(void **state)
{
	(void)state;
	assert_false(state_is_valid(0));
	assert_false(state_is_valid(9));
	assert_false(state_may_become((enum instance_state)0, STATE_RUNNING));
	assert_false(state_may_become(STATE_RUNNING, (enum instance_state)77));
	assert_string_equal(state_text((enum instance_state)77), "?");
}

static void numbers_are_those_of_the_protocol(void **state)
{
	(void)state;
	assert_int_equal(STATE_INITIALIZING,
			 HYPEMAN__INSTANCE__V1__INSTANCE_STATE__INSTANCE_STATE_INITIALIZING);
	assert_int_equal(STATE_STOPPED,
			 HYPEMAN__INSTANCE__V1__INSTANCE_STATE__INSTANCE_STATE_STOPPED);
	assert_int_equal(STATE_UNKNOWN,
			 HYPEMAN__INSTANCE__V1__INSTANCE_STATE__INSTANCE_STATE_UNKNOWN);
}

static void only_what_may_have_a_vm_holds_resources(void **state)
{
	(void)state;
	assert_true(state_holds_resources(STATE_INITIALIZING));
	assert_true(state_holds_resources(STATE_RUNNING));
	assert_true(state_holds_resources(STATE_UNKNOWN));
	assert_false(state_holds_resources(STATE_STOPPED));
	assert_false(state_holds_resources(STATE_CREATED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transitions_are_those_of_the_table),
		cmocka_unit_test(numbers_that_are_no_state_go_nowhere),
		cmocka_unit_test(numbers_are_those_of_the_protocol),
		cmocka_unit_test(only_what_may_have_a_vm_holds_resources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
