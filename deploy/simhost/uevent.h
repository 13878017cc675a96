/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as the kernel sends them, to a datagram socket of whoever wants them: a file system has
 * no uevents of its own.
 */

#ifndef SIMHOST_UEVENT_H
#define SIMHOST_UEVENT_H

#include <stdint.h>

#include "common/err.h"

struct uevent_sender {
	int fd;		   /* owned; -1: nobody wants any */
	const char *path;  /* borrowed; where they go to, whether or not somebody is there */
	uint64_t sequence; /* of the last one */
};

#define UEVENT_SENDER_NONE ((struct uevent_sender){ .fd = -1 })

int uevent_sender_open(struct uevent_sender *sender, const char *path, struct err *err);
void uevent_sender_close(struct uevent_sender *sender);

/*
 * Never waits. What finds nobody, or a receiver who has not read the ones before, is lost: those
 * tell him to look already.
 */
void uevent_send(struct uevent_sender *sender, const char *action, const char *subsystem,
		 const char *devpath);

#endif
