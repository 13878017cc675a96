/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to the host, as `udevadm monitor` would print it: "add mdev /devices/...", one
 * line an event. Readers are positions in the log; it keeps the latest EVENT_COUNT.
 */

#ifndef SIMHOST_EVENT_H
#define SIMHOST_EVENT_H

#include <stdint.h>
#include <stdio.h>

#define EVENT_COUNT 4096
#define EVENT_SIZE  144

struct event_log {
	uint64_t next; /* number of the event to come */
	char lines[EVENT_COUNT][EVENT_SIZE];
};

struct host;

void event_add(struct host *host, const char *action, const char *subsystem, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));

/*
 * Prints whole lines from *position on, at most size bytes, and moves it. Returns how many
 * bytes, or -EPIPE if events were lost to this reader: *position is then that of the oldest.
 */
int event_read(const struct host *host, uint64_t *position, size_t size, FILE *out);

#endif
