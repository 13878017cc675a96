/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the image: started in its root, as its user and in its environment. */

#ifndef INSTANCE_SVC_GUEST_COMMAND_H
#define INSTANCE_SVC_GUEST_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

struct guest_config;

struct command_spec {
	const struct guest_config *config; /* user, environment, and workdir unless `cwd` */
	char *const *args;		   /* end with NULL; at least one */
	char *const *env;		   /* win over the config's; NULL: none */
	const char *cwd;		   /* "": the config's workdir, which is made */
	int stdio[3];	   /* become 0, 1 and 2; -1: /dev/null, for the first only */
	bool has_terminal; /* stdio is one: it becomes the controlling terminal */
	bool makes_root;   /* moves into a root of its own (root.h, driver.h); else we are in it */
};

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

/* Starts the child, the leader of a session of its own. */
int command_start(struct command *command, const struct command_spec *spec, struct err *err);

/* Waits for the next event. */
enum command_event command_next_event(struct command *command);

#endif
