/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance can be, and the one table of how it may get from one to another. The
 * numbers are those of hypeman.instance.v1.InstanceState and are stored in the records.
 */

#ifndef INSTANCE_SVC_STATE_H
#define INSTANCE_SVC_STATE_H

#include <stdbool.h>

enum instance_state {
	STATE_CREATED = 1,
	STATE_INITIALIZING = 2, /* GPU, image, disks, VM being started */
	STATE_RUNNING = 3,
	STATE_PAUSED = 4,
	STATE_SHUTDOWN = 5, /* asked to stop, still there */
	STATE_STOPPED = 6,
	STATE_STANDBY = 7,
	STATE_UNKNOWN = 8,
};

/* "Running"; "?" for a number that is none. */
const char *state_text(enum instance_state state);

bool state_is_valid(int number);

/* Staying where one is counts as allowed. */
bool state_may_become(enum instance_state from, enum instance_state to);

/* CPU and memory are spoken for. */
bool state_holds_resources(enum instance_state state);

#endif
