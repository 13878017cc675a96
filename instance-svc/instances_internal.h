/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by instances.c, instances_query.c and instance_life.c only. */

#ifndef INSTANCE_SVC_INSTANCES_INTERNAL_H
#define INSTANCE_SVC_INSTANCES_INTERNAL_H

#include <pthread.h>

#include "instances.h"

/*
 * Under the table's lock: everything. Only the thread of the instance (while `busy`)
 * removes it from the table and frees it, so that thread may hold on to the pointer.
 */
struct instance {
	struct instances *all;
	struct record record;
	struct spec *spec; /* owned; never changes */
	bool busy;	   /* has a thread, or a creation under way that will start one */
	/* Deletion or our own end: read without the lock by what must give up soon. */
	volatile bool interrupted;
	int wake; /* eventfd, owned: written to when a mark was left */
};

struct instances {
	struct instances_options options;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* any record, or the number of threads; monotonic clock */
	struct instance **list; /* in order of creation; owned */
	size_t count;
	unsigned threads;
	bool closing;
	int closing_fd; /* eventfd: readable once closing */
};

static inline void instances_unlock(struct instances *instances)
{
	pthread_mutex_unlock(&instances->lock);
}
SCOPED_DEFINE(struct instances *, instances_unlock);

static inline struct instances *instances_locked(struct instances *instances)
{
	pthread_mutex_lock(&instances->lock);
	return instances;
}

/* Holds the lock to the end of the block. */
#define SCOPED_INSTANCES_LOCK(table)                                                               \
	scoped(instances_unlock) struct instances *locked_ = instances_locked(table);              \
	(void)locked_

/* NULL with *err: not found, or ambiguous. Dropped instances are not there. */
struct instance *instances_resolve_locked(struct instances *instances, const char *name,
					  size_t prefix_min, struct err *err);

/* Stores the record and tells who waits. What cannot be stored is logged, and tried again
 * with the next change. */
void instance_commit_locked(struct instance *instance);

/* Wakes its thread, or starts one. */
void instance_kick_locked(struct instance *instance);

/* The thread. */
void *instance_live(void *instance);

/* Takes it out of the table and frees it. */
void instances_forget_locked(struct instance *instance);

/* Milliseconds since the epoch. */
int64_t instances_now_ms(void);

/* Gives back what the agent has for us and no record claims. Returns when done or closing. */
void *instances_release_orphans(void *instances);

#endif
