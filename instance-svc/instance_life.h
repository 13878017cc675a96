/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of one instance: shared by instance_life.c, instance_boot.c and instance_end.c
 * only. Each step leaves the record so that the thread can begin again behind it.
 */

#ifndef INSTANCE_SVC_INSTANCE_LIFE_H
#define INSTANCE_SVC_INSTANCE_LIFE_H

#include "instances_internal.h"
#include "log_file.h"
#include "process.h"

/* How a step of the life ended. */
enum next {
	NEXT_GO_ON,
	NEXT_LEAVE, /* this process ends: the record says where to begin again */
};

struct life {
	struct instance *instance;
	const struct host *host;
	struct id id;
	int logs;	      /* directory, owned; -1 when it is gone */
	struct process child; /* the supervisor, if this process started it */
	int control;	      /* connection to it, owned; -1: none */
	bool removed;	      /* disks, logs and record are gone */
};

#define LIFE_EVENT(life, ...)                                                                      \
	do {                                                                                       \
		if ((life)->logs >= 0)                                                             \
			log_event((life)->logs, __VA_ARGS__);                                      \
	} while (0)

bool life_is_closing(struct life *life);
struct record life_read_record(struct life *life);

/* Until a mark is left for us, `fd` (-1: none) has something, or the time is over. */
void life_pause(struct life *life, int fd, int timeout_ms);

/* Exactly so long, whatever marks are left; sooner when this process ends. */
void life_sleep(struct life *life, int timeout_ms);

/* ---- instance_boot.c ---- */

/* The VM of a record that says nothing of an end: found, started, or given up. */
enum next life_boot(struct life *life);

/* ---- instance_end.c ---- */

/* The VM is gone, or never was: its last word goes into the record. */
void life_record_end(struct life *life);

/* Tries until it is done: a GPU is never forgotten. */
enum next life_give_back(struct life *life);

/* Disks, logs, and the record last. */
enum next life_remove(struct life *life);

#endif
