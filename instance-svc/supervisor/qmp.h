/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of QEMU's monitor. QEMU may have been taken over by its guest: what comes
 * is bounded and checked, and nothing more than a few words is understood.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_QMP_H
#define INSTANCE_SVC_SUPERVISOR_QMP_H

#include <stdbool.h>
#include <stddef.h>

#define QMP_LINE_MAX (64 * 1024)

enum qmp_event {
	QMP_NOTHING,
	QMP_READY,    /* QEMU answered: the VM runs */
	QMP_SHUTDOWN, /* the guest powered off or was reset, or QEMU was told to quit */
	QMP_PANICKED, /* the guest's kernel says so */
	QMP_REFUSED,  /* an error answer; text */
	QMP_BROKEN,   /* not QMP: nothing more can be understood */
};

struct qmp {
	int fd; /* borrowed; -1 once broken or closed */
	bool greeted;
	bool ready;
	char line[QMP_LINE_MAX];
	size_t size;
	char text[200]; /* of the last QMP_REFUSED or QMP_SHUTDOWN: for the log */
};

void qmp_init(struct qmp *qmp, int fd);

/*
 * Takes bytes up to the end of one message. Returns how many; *ret_event says what it was.
 * Answers the greeting by itself (sends on qmp->fd).
 */
size_t qmp_feed(struct qmp *qmp, const char *bytes, size_t size, enum qmp_event *ret_event);

/* "quit", "system_powerdown". 0, or -errno; -ENOTCONN before QMP_READY. */
int qmp_execute(struct qmp *qmp, const char *command);

#endif
