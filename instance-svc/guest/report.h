/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line to the host: GUEST_REPORT_PORT. See config.h for what is said on it. A host that
 * does not listen is waited for, briefly, and then ignored: the command matters more.
 */

#ifndef INSTANCE_SVC_GUEST_REPORT_H
#define INSTANCE_SVC_GUEST_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct report {
	int fd;		/* -1: the VM has no such port */
	char input[64]; /* a line of the host, so far */
	size_t input_length;
	bool skipping; /* the line was too long: until its end */
};

/* Waits a little for the port to appear. */
void report_open(struct report *report);

/* Sends one line; control characters become spaces, and what is too long is cut. */
void report_send(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reads what is there. The grace in milliseconds when a "stop" was among it, else -1. */
int report_read_stop(struct report *report);

#endif
