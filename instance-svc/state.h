/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance can be, the one table of how it may get from one to another, and what may
 * be asked of it in each. The numbers are those of hypeman.instance.v1.InstanceState and are
 * stored in the records.
 */

#ifndef INSTANCE_SVC_STATE_H
#define INSTANCE_SVC_STATE_H

#include <stdbool.h>

enum instance_state {
	STATE_CREATED = 1,
	STATE_INITIALIZING = 2, /* GPU, image, disks, VM being started */
	STATE_RUNNING = 3,
	STATE_PAUSED = 4,   /* its memory is being saved */
	STATE_SHUTDOWN = 5, /* asked to stop, still there */
	STATE_STOPPED = 6,
	STATE_STANDBY = 7,
	STATE_UNKNOWN = 8,
};

/* What somebody may ask for; deleting may be asked for always. */
enum state_request {
	REQUEST_STOP = 1,
	REQUEST_START = 2,
	REQUEST_STANDBY = 4,
	REQUEST_RESTORE = 8,
	REQUEST_CHANGE = 16, /* of what takes effect at the next start */
};

/* "Running"; "?" for a number that is none. */
const char *state_text(enum instance_state state);

bool state_is_valid(int number);

/* Staying where one is counts as allowed. */
bool state_may_become(enum instance_state from, enum instance_state to);

bool state_allows(enum instance_state state, enum state_request request);

/* CPU and memory are spoken for. */
bool state_holds_resources(enum instance_state state);

/* `to` may be reached, or is, without anybody starting or restoring the instance. */
bool state_may_lead_to(enum instance_state from, enum instance_state to);

#endif
