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
	[STATE_CREATED] = "YY...Y..",  [STATE_INITIALIZING] = ".YY.YYY.",
	[STATE_RUNNING] = "..YYYYYY",  [STATE_PAUSED] = "..YYYYYY",
	[STATE_SHUTDOWN] = "....YYYY", [STATE_STOPPED] = ".Y...Y..",
	[STATE_STANDBY] = ".Y...YY.",  [STATE_UNKNOWN] = "..YYYYYY",
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

/* Rows: state; columns: stop, start, standby, restore, change. */
static const char *const requests[] = {
	[STATE_CREATED] = "Y....", [STATE_INITIALIZING] = "Y....", [STATE_RUNNING] = "Y.Y..",
	[STATE_PAUSED] = "Y....",  [STATE_SHUTDOWN] = "Y....",	   [STATE_STOPPED] = "YY..Y",
	[STATE_STANDBY] = "...Y.", [STATE_UNKNOWN] = "Y....",
};

static void requests_are_those_of_the_table(void **state)
{
	(void)state;
	for (int from = STATE_CREATED; from <= STATE_UNKNOWN; from++)
		for (int i = 0; i < 5; i++)
			if (state_allows((enum instance_state)from, (enum state_request)(1 << i)) !=
			    (requests[from][i] == 'Y'))
				fail_msg("request %d of %s", i,
					 state_text((enum instance_state)from));
	assert_false(state_allows((enum instance_state)77, REQUEST_STOP));
}

static void what_does_not_run_leads_nowhere_by_itself(void **state)
{
	(void)state;
	assert_true(state_may_lead_to(STATE_STOPPED, STATE_STOPPED));
	assert_false(state_may_lead_to(STATE_STOPPED, STATE_RUNNING));
	assert_false(state_may_lead_to(STATE_STANDBY, STATE_RUNNING));
	assert_true(state_may_lead_to(STATE_INITIALIZING, STATE_RUNNING));
	assert_true(state_may_lead_to(STATE_INITIALIZING, STATE_STOPPED));
	assert_true(state_may_lead_to(STATE_RUNNING, STATE_STOPPED));
	assert_false(state_may_lead_to(STATE_RUNNING, STATE_INITIALIZING));
	assert_false(state_may_lead_to(STATE_SHUTDOWN, STATE_CREATED));
	assert_false(state_may_lead_to((enum instance_state)77, STATE_STOPPED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transitions_are_those_of_the_table),
		cmocka_unit_test(numbers_that_are_no_state_go_nowhere),
		cmocka_unit_test(numbers_are_those_of_the_protocol),
		cmocka_unit_test(only_what_may_have_a_vm_holds_resources),
		cmocka_unit_test(requests_are_those_of_the_table),
		cmocka_unit_test(what_does_not_run_leads_nowhere_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
