/* SPDX-License-Identifier: Apache-2.0 */
/* The image's command: started in its root as its user, with its output on the console. */

#ifndef INSTANCE_SVC_GUEST_COMMAND_H
#define INSTANCE_SVC_GUEST_COMMAND_H

#include <sys/types.h>

#include "common/err.h"

struct guest_config;

struct command {
	pid_t pid;	/* 0: not running */
	int events;	/* the child's news: readable, then end of file once it is executed */
	struct err err; /* why it could not be set up or executed */
};

enum command_event {
	COMMAND_READY,		/* about to be executed */
	COMMAND_EXECUTED,	/* no more events */
	COMMAND_NOT_FOUND,	/* exit 127, command->err says why */
	COMMAND_NOT_EXECUTABLE, /* exit 126, the same */
	COMMAND_NOT_SET_UP,	/* the guest is at fault: "failed" */
};

/* Starts the child. `console` becomes its output. */
int command_start(struct command *command, const struct guest_config *config, int console,
		  struct err *err);

/* Waits for the next event. */
enum command_event command_next_event(struct command *command);

#endif
