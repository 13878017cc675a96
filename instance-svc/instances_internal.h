/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by instances.c, instances_query.c and the files instance_*.c only. */

#ifndef INSTANCE_SVC_INSTANCES_INTERNAL_H
#define INSTANCE_SVC_INSTANCES_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "instances.h"

/*
 * Under the table's lock: everything. Only the thread of the instance (while `busy`)
 * removes it from the table and frees it, so that thread may hold on to the pointer.
 */
struct instance {
	struct instances *all;
	struct record record;
	struct spec *spec; /* owned; replaced only while not busy */
	bool busy;	   /* has a thread, or a request under way that will start one */
	bool creating;	   /* the creation has not been answered yet */
	/* A stop, a deletion, or our own end: read without the lock by what must give up soon. */
	volatile bool interrupted;
	int wake;		       /* eventfd, owned: written to when a mark was left */
	char refusal[RECORD_TEXT_MAX]; /* why the last standby did not come about; empty: it did */
};

struct instances {
	struct instances_options options;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* any record, or the number of threads; monotonic clock */
	struct instance **list; /* in order of creation; owned */
	size_t count;
	unsigned threads;
	pthread_mutex_t kernels_lock;
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

/* ---- instances.c: the table ---- */

/* Owned by the caller until it is in the table. */
int instance_new(struct instances *all, const struct record *record, struct spec *take_spec,
		 struct instance **ret, struct err *err);
void instance_free(struct instance *instance);
SCOPED_DEFINE(struct instance *, instance_free);

int instances_add_locked(struct instances *instances, struct instance *instance, struct err *err);

/* Takes it out of the table and frees it. */
void instances_forget_locked(struct instance *instance);

/* NULL when it is not there (any more). */
struct instance *instances_find_locked(const struct instances *instances, const struct id *id);

/* Stores the record and tells who waits. What cannot be stored is logged, and tried again
 * with the next change. */
void instance_commit_locked(struct instance *instance);

/* Logs and publishes the change; the caller commits. A change that the table does not have is
 * refused, which is a fault of ours. */
void instance_set_state_locked(struct instance *instance, enum instance_state state);

/* Wakes its thread, or starts one. */
void instance_kick_locked(struct instance *instance);

/* Milliseconds since the epoch. */

/* ---- instances_query.c ---- */

/* NULL with *err: not found, or ambiguous. Dropped instances are not there. */
struct instance *instances_resolve_locked(struct instances *instances, const char *name,
					  size_t prefix_min, struct err *err);

/* What all instances but one (NULL: all) hold. */
int instances_measure_locked(struct instances *instances, const struct instance *but,
			     struct resources *ret, struct err *err);

/* ---- instances_volumes.c ---- */

/* Volumes that are about to be attached: they are there until they are let go. */
struct volume_holds {
	struct volumes *volumes;
	size_t count;
	char ids[SPEC_VOLUMES_MAX][64];
};

/* Puts the ids of the volumes into the spec, and holds them. */
int instances_hold_volumes(struct instances *instances, struct spec *spec, struct volume_holds *ret,
			   struct err *err);
void volume_holds_done(struct volume_holds holds);
SCOPED_DEFINE(struct volume_holds, volume_holds_done);

/* One instance may write, or many may read. `but` (NULL: none) does not count. */
int instances_check_volumes_locked(struct instances *instances, const struct spec *spec,
				   const struct instance *but, struct err *err);

/* ---- instances_quota.c: ERR_QUOTA_EXCEEDED ---- */

int instances_admit_quota_locked(const struct instances *instances, const char *principal,
				 const struct spec *spec, struct err *err);
int instance_admit_start_locked(const struct instance *instance, struct err *err);
int instances_admit_disk_locked(const struct instances *instances, const char *principal,
				uint64_t bytes, struct err *err);

/* 0 or -ENOMEM. */
int instances_quotas_to_wire_locked(const struct instances *instances,
				    Hypeman__Instance__V1__GetResourcesResponse *wire);

/* ---- instances_kernels.c ---- */

/* Removes what no instance boots. */
void instances_collect_kernels(struct instances *instances);

/* Copies the image's own kernel and puts its name into the record: from here on it is pinned. */
int instance_keep_image_kernel(struct instance *instance, const struct image *image,
			       struct err *err);

/* ---- instance_hold.c: what is taken of gpu-agent ---- */

/* New requests for all that the spec asks for; the caller commits before it goes on. */
void instance_plan_holds_locked(struct instance *instance);

/*
 * Asks the agent for what was planned and has not come yet. Without the lock: takes up to
 * GPU_CALL_MS for each. What came is in the record also after a failure.
 */
int instance_take_holds(struct instance *instance, struct err *err);

/* True when the hold is, or may be, the agent's knowledge still. */
bool instance_holds_any(const struct record *record);

/* One round of giving back; 0 when nothing is held any more. Without the lock. */
int instance_give_holds_back(struct instance *instance, struct err *err);

/* ---- instance_tell.c: events ---- */

void instance_tell(struct instance *instance, const char *type);
void instance_tell_state(struct instance *instance, enum instance_state previous);
void instance_tell_gpu(struct instance *instance, const char *type, const struct gpu_lease *lease);

/* ---- instance_request.c ---- */

struct timespec instances_deadline(const struct instances_patience *patience);

/* Until something has changed. False with *err when there is no more waiting. */
bool instances_wait_locked(struct instances *instances, const struct timespec *deadline,
			   const struct instances_patience *patience, struct err *err);

/* From Stopped to Initializing, with all that a start asks for on disk, or nothing changed. */
int instance_begin_start_locked(struct instance *instance, struct err *err);

/* ---- instance_create.c ---- */

/* What can be known to fail is refused before anything is recorded. Without the lock. */
int instance_check_first(struct instances *instances, bool network, bool devices, struct err *err);

/* ---- instance_life.c ---- */

/* The thread. */
void *instance_live(void *instance);

/* ---- orphans.c ---- */

/* Gives back what the agent has for us and no record claims. Returns when done or closing. */
void *instances_release_orphans(void *instances);

#endif
