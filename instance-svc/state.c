/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#define BIT(state) (1U << (state))

static const struct {
	const char *text;
	unsigned next;	   /* BIT()s */
	unsigned requests; /* of enum state_request */
	bool holds_resources;
} states[] = {
	[STATE_CREATED] = { "Created", BIT(STATE_INITIALIZING) | BIT(STATE_STOPPED), REQUEST_STOP,
			    false },
	[STATE_INITIALIZING] = { "Initializing",
				 BIT(STATE_RUNNING) | BIT(STATE_SHUTDOWN) | BIT(STATE_STOPPED) |
					 BIT(STATE_STANDBY),
				 REQUEST_STOP, true },
	[STATE_RUNNING] = { "Running",
			    BIT(STATE_PAUSED) | BIT(STATE_SHUTDOWN) | BIT(STATE_STOPPED) |
				    BIT(STATE_STANDBY) | BIT(STATE_UNKNOWN),
			    REQUEST_STOP | REQUEST_STANDBY, true },
	[STATE_PAUSED] = { "Paused",
			   BIT(STATE_RUNNING) | BIT(STATE_SHUTDOWN) | BIT(STATE_STOPPED) |
				   BIT(STATE_STANDBY) | BIT(STATE_UNKNOWN),
			   REQUEST_STOP, true },
	[STATE_SHUTDOWN] = { "Shutdown",
			     BIT(STATE_STOPPED) | BIT(STATE_STANDBY) | BIT(STATE_UNKNOWN),
			     REQUEST_STOP, true },
	[STATE_STOPPED] = { "Stopped", BIT(STATE_INITIALIZING),
			    REQUEST_STOP | REQUEST_START | REQUEST_CHANGE, false },
	[STATE_STANDBY] = { "Standby", BIT(STATE_INITIALIZING) | BIT(STATE_STOPPED),
			    REQUEST_RESTORE, false },
	/* The supervisor does not answer: the VM may still be there. */
	[STATE_UNKNOWN] = { "Unknown",
			    BIT(STATE_RUNNING) | BIT(STATE_PAUSED) | BIT(STATE_SHUTDOWN) |
				    BIT(STATE_STOPPED) | BIT(STATE_STANDBY),
			    REQUEST_STOP, true },
};

bool state_is_valid(int number)
{
	return number >= STATE_CREATED && number <= STATE_UNKNOWN;
}

const char *state_text(enum instance_state state)
{
	return state_is_valid((int)state) ? states[state].text : "?";
}

bool state_may_become(enum instance_state from, enum instance_state to)
{
	if (!state_is_valid((int)from) || !state_is_valid((int)to))
		return false;
	return from == to || (states[from].next & BIT(to));
}

bool state_allows(enum instance_state state, enum state_request request)
{
	return state_is_valid((int)state) && (states[state].requests & request);
}

bool state_holds_resources(enum instance_state state)
{
	return state_is_valid((int)state) && states[state].holds_resources;
}

bool state_may_lead_to(enum instance_state from, enum instance_state to)
{
	unsigned reached = 0, more;

	if (!state_is_valid((int)from))
		return false;
	more = BIT(from);
	while (more != reached) {
		reached = more;
		for (int i = STATE_CREATED; i <= STATE_UNKNOWN; i++)
			if ((reached & BIT(i)) && states[i].holds_resources)
				more |= states[i].next;
	}
	return reached & BIT(to);
}
