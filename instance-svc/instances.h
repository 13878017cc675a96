/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All instances of this host: the table in memory, which mirrors the records, and what can
 * be done with it. Each instance that has work going on has one thread (instance_life.c)
 * that takes it through its life; requests only leave marks for it.
 *
 * One lock for the table and all records in it. A change is stored before it is seen.
 */

#ifndef INSTANCE_SVC_INSTANCES_H
#define INSTANCE_SVC_INSTANCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "events.h"
#include "gpu_client.h"
#include "host.h"
#include "image.h"
#include "quota.h"
#include "records.h"
#include "resources.h"
#include "spec.h"
#include "volumes.h"

struct instances;

typedef Hypeman__Instance__V1__Instance wire_instance;

/* All borrowed; they must outlive the instances. */
struct instances_options {
	const struct host *host;
	struct records *records;
	struct gpu_client *gpu;
	struct image_store *images;
	struct volumes *volumes;
	struct events *events;
	struct guest_channels *guests;
	struct resource_factors factors;
	struct quotas quotas;
};

/*
 * Reads the records and takes up again what was going on: adopts VMs that run, notices
 * those that ended, finishes creations and deletions, and gives GPUs back that no record
 * claims (as soon as the agent answers).
 */
int instances_open(const struct instances_options *options, struct instances **ret,
		   struct err *err);

/*
 * Takes up nothing new and lets go of what is going on: pulls end (and begin again at the
 * next start), deletions go on at the next start, VMs go on without us. Does not wait.
 */
void instances_interrupt(struct instances *instances);

/* The same, and waits for every thread. No request may be running any more. */
void instances_close(struct instances *instances);

/* ---- Requests (instance_create.c, instance_request.c) ---- */

/*
 * Who waits for an answer, and how long. What was begun goes on when the time is over, which
 * is ERR_OUTCOME_UNKNOWN. `is_gone` (NULL: never) is looked at a few times a second.
 */
struct instances_patience {
	int64_t timeout_ms;
	bool (*is_gone)(void *user);
	void *user;
};

/*
 * Admits, records, takes the GPU and the devices, and starts the rest. On success *ret is the
 * new instance as a message (free with protobuf_c_message_free_unpacked); on failure nothing
 * is left but what is being undone. It counts against the quota of `principal`. `request`
 * (NULL: none; its body is filled in) makes it the same creation as an earlier one.
 */
int instances_create(struct instances *instances, struct spec *take_spec, const char *principal,
		     struct record_request *request, const struct instances_patience *patience,
		     wire_instance **ret, struct err *err);

/* ERR_WRONG_STATE names the state. *ret as of instances_create(). */
int instances_stop(struct instances *instances, const char *name, uint32_t grace_ms,
		   const struct instances_patience *patience, wire_instance **ret, struct err *err);
int instances_start(struct instances *instances, const char *name,
		    const Hypeman__Instance__V1__StartOptions *options,
		    const struct instances_patience *patience, wire_instance **ret,
		    struct err *err);
int instances_standby(struct instances *instances, const char *name,
		      const struct instances_patience *patience, wire_instance **ret,
		      struct err *err);
int instances_restore(struct instances *instances, const char *name,
		      const struct instances_patience *patience, wire_instance **ret,
		      struct err *err);

/* Stops, releases, removes; returns when all is done. */
int instances_delete(struct instances *instances, const char *name,
		     const struct instances_patience *patience, struct err *err);

/*
 * Waits for the state, or until it cannot come by itself, or the time is over (no error:
 * timed_out is set).
 */
int instances_wait(struct instances *instances, const char *name, enum instance_state state,
		   const struct instances_patience *patience,
		   Hypeman__Instance__V1__WaitInstanceResponse **ret, struct err *err);

/* ---- Looking (instances_query.c) ---- */

/* `name`: id, name, or prefix of an id of at least INSTANCES_PREFIX_MIN characters. */
int instances_get(struct instances *instances, const char *name, wire_instance **ret,
		  struct err *err);

#define INSTANCES_PREFIX_MIN	    4
#define INSTANCES_PREFIX_MIN_DELETE 8

/*
 * Up to `limit` instances, or fewer where they would make a large message, whose sequence is
 * greater than `after`, oldest first, of one state or of all (0). *ret_next is the sequence to go
 * on after, or 0 when these are the last. *ret and each message in it are freed by the caller.
 */
int instances_list(struct instances *instances, int state, uint64_t after, size_t limit,
		   wire_instance ***ret, size_t *ret_count, uint64_t *ret_next, struct err *err);

/* Of its VM; zeros where there is none, or what cannot be read. */
int instances_stats(struct instances *instances, const char *name,
		    Hypeman__Instance__V1__InstanceStats **ret, struct err *err);

/* Descriptor of the logs' directory, and the exact id, for following. */
int instances_open_logs(struct instances *instances, const char *name, struct id *ret_id,
			int *ret_directory, struct err *err);

/*
 * To talk to the guest of an instance that runs: its exact id, and the connections to all.
 * Another state is ERR_WRONG_STATE.
 */
int instances_find_guest(struct instances *instances, const char *name, struct id *ret_id,
			 struct guest_channels **ret_guests, struct err *err);
bool instances_exists(struct instances *instances, const struct id *id);

/* For image_store_set_users(): `user` is the instances. */
bool instances_use_image(void *user, const char *reference, const char *digest, char name[64]);

/* ---- instances_volumes.c ---- */

/* For volumes_set_users(): `user` is the instances. */
int instances_admit_volume(void *user, const struct volume *volume, struct err *err);
bool instances_have_volume(void *user, const char *id, char name[64]);

/* The instances that have a volume attached. Caller frees *ret. */
struct volume_attachment {
	char instance[ID_LENGTH + 1];
	char path[SPEC_PATH_MAX + 1];
	bool read_only;
};
int instances_find_attachments(struct instances *instances, const char *volume_id,
			       struct volume_attachment **ret, size_t *ret_count, struct err *err);

/* The instance must be stopped: ERR_WRONG_STATE. ERR_VOLUME_IN_USE names another one. */
int instances_attach_volume(struct instances *instances, const char *name,
			    const struct spec_volume *volume, wire_instance **ret, struct err *err);
int instances_detach_volume(struct instances *instances, const char *name, const char *volume,
			    wire_instance **ret, struct err *err);

int instances_resources(struct instances *instances,
			Hypeman__Instance__V1__GetResourcesResponse **ret, struct err *err);

#endif
