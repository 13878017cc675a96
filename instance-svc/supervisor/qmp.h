/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of QEMU's monitor. QEMU may have been taken over by its guest: what comes
 * is bounded and checked, and nothing more than a few words is understood.
 */

#ifndef INSTANCE_SVC_SUPERVISOR_QMP_H
#define INSTANCE_SVC_SUPERVISOR_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_LINE_MAX (64 * 1024)

enum qmp_event {
	QMP_NOTHING,
	QMP_READY,	/* QEMU answered: the VM runs */
	QMP_SHUTDOWN,	/* the guest powered off or was reset, or QEMU was told to quit */
	QMP_PANICKED,	/* the guest's kernel says so */
	QMP_MIGRATION,	/* of a saved or restored memory; text: "completed", "failed", ... */
	QMP_BLOCKSTATS, /* the answer to query-blockstats; read_bytes, write_bytes */
	QMP_REFUSED,	/* an error answer; text */
	QMP_BROKEN,	/* not QMP: nothing more can be understood */
};

struct qmp {
	int fd; /* borrowed; -1 once broken or closed */
	bool greeted;
	bool ready;
	char line[QMP_LINE_MAX];
	size_t size;
	char text[200]; /* of the last QMP_REFUSED, QMP_SHUTDOWN or QMP_MIGRATION */
	int64_t read_bytes, write_bytes; /* of the disk QMP_STATS_NODE; -1: not told */
};

#define QMP_STATS_NODE "overlay"

void qmp_init(struct qmp *qmp, int fd);

/*
 * Takes bytes up to the end of one message. Returns how many; *ret_event says what it was.
 * Answers the greeting by itself (sends on qmp->fd).
 */
size_t qmp_feed(struct qmp *qmp, const char *bytes, size_t size, enum qmp_event *ret_event);

/* "quit", "system_powerdown". 0, or -errno; -ENOTCONN before QMP_READY. */
int qmp_execute(struct qmp *qmp, const char *command);

/* The same with arguments, a JSON object, and a descriptor for "getfd" (-1: none). */
int qmp_execute_with(struct qmp *qmp, const char *command, const char *arguments, int fd);

#endif
