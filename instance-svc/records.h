/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances that outlive this process: SQLite, WAL, synchronous=FULL. What a function
 * here returned 0 for is on disk.
 *
 * A record is written before the thing it stands for is made (a GPU's request id before the
 * agent is called, the slot before files are made) and removed after the last of it is gone,
 * so that a start after a crash finds everything there is to finish or undo.
 *
 * Thread safe.
 */

#ifndef INSTANCE_SVC_RECORDS_H
#define INSTANCE_SVC_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "gpu_lease.h"
#include "id.h"
#include "image_digest.h"
#include "kernels.h"
#include "process_id.h"
#include "quota.h"
#include "spec.h"
#include "state.h"

#define RECORD_TEXT_MAX	   512
#define RECORD_DIGEST_MAX  80 /* "sha256:" and 64 digits */
#define RECORD_MACHINE_MAX 64
#define RECORD_HOLDS_MAX   (1 + SPEC_DEVICES_MAX)

/* What an instance takes of gpu-agent at each start: its vGPU, or one whole device. */
struct hold {
	struct uuid_text request;	  /* intent; empty: not asked for, or given back */
	char device[SPEC_DEVICE_MAX + 1]; /* how the agent knows it; empty: not looked up yet */
	struct gpu_lease lease; /* id empty: nothing (yet); what it was stays to be shown */
};

/* What the instance was last told to become. */
enum goal {
	GOAL_RUN = 0,
	GOAL_STOP = 1,	  /* within stop_ms, then by force */
	GOAL_STANDBY = 2, /* memory to disk, then end */
};

struct record {
	uint64_t sequence; /* 0: not stored yet; order of creation */
	struct id id;
	struct uuid_text uuid;			 /* the VM's */
	char principal[QUOTA_PRINCIPAL_MAX + 1]; /* empty: made before there were any */
	enum instance_state state;
	/*
	 * Somebody asked for it to be deleted, or its creation failed: nothing is left to do
	 * but to undo. A dropped one is hidden and its name is free.
	 */
	bool deleting;
	bool dropped;
	enum goal goal;
	uint32_t stop_ms; /* the guest's time to stop */
	uint32_t slot;	  /* its uid and gid: that many after the first of our range */
	int64_t created_ms, started_ms, stopped_ms; /* since the epoch; 0: never */
	char digest[RECORD_DIGEST_MAX];		    /* of the image; empty: not known yet */
	struct hold holds[RECORD_HOLDS_MAX]; /* the vGPU first, then devices as the spec has them */
	uint32_t hold_count;
	struct process_id supervisor;	  /* pid 0: none */
	char kernel[KERNEL_NAME_MAX + 1]; /* of kernels.h; empty: made before there were any */

	/* A saved memory, finished or being written: its place on the disk. 0: none. */
	uint64_t snapshot_bytes;
	char machine[RECORD_MACHINE_MAX]; /* what the VM was started as; a restore needs the same */
	bool kvm;

	/* The host went down while it ran, in the boot of this id: autostart. */
	struct uuid_text shutdown_boot;
	char state_error[RECORD_TEXT_MAX]; /* empty: none */
	bool has_exit_code;
	int32_t exit_code;
	char exit_message[RECORD_TEXT_MAX];
};

struct records;

/* `path` of the database file; its directory exists and is ours. */
int records_open(const char *path, struct records **ret, struct err *err);
void records_close(struct records *records); /* NULL is fine */

/* A creation that may be asked for again, and is then the same. Kept for a day. */
#define RECORD_REQUEST_ID_MAX 128
#define RECORD_REQUEST_MS     (INT64_C(24) * 3600 * 1000)

struct record_request {
	char principal[32]; /* who asked: ids of others mean nothing to it */
	char id[RECORD_REQUEST_ID_MAX + 1];
	struct image_digest body; /* of what was asked for */
};

/*
 * Stores a new record (sequence 0, which it sets), and with it the request that made it
 * (NULL: none), all or nothing. ERR_NAME_TAKEN.
 */
int records_insert(struct records *records, struct record *record, const struct spec *spec,
		   const struct record_request *request, struct err *err);

/* Everything but sequence, id, uuid, principal, slot, creation time and spec. */
int records_update(struct records *records, const struct record *record, struct err *err);
int records_replace_spec(struct records *records, const struct id *id, const struct spec *spec,
			 struct err *err);
int records_remove(struct records *records, const struct id *id, struct err *err);

/*
 * What an earlier request with this principal and id made: 1 with the body's digest in
 * request->body and the instance, 0 when there is none.
 */
int records_find_request(struct records *records, struct record_request *request,
			 struct id *ret_instance, struct err *err);

/* The creation came to nothing: asked for again, it is a new one. */
int records_forget_request(struct records *records, const struct id *instance, struct err *err);

/*
 * Calls back for each record in order of creation; the callee takes the spec. A record
 * that cannot be read is reported through `damaged` and left where it is: one bad record
 * must not stop the others.
 */
struct records_visitor {
	int (*record)(void *user, const struct record *record, struct spec *take_spec,
		      struct err *err);
	void (*damaged)(void *user, const char *id, const struct err *err);
	void *user;
};
int records_load(struct records *records, const struct records_visitor *visitor, struct err *err);

/* The lowest slot below `limit` that no record has; ERR_INSUFFICIENT_CAPACITY. */
int records_free_slot(struct records *records, uint32_t limit, uint32_t *ret, struct err *err);

/*
 * Whether any record, damaged ones included, names this allocation or the request that
 * made it. -1 with *err when the records cannot be read.
 */
int records_claim(struct records *records, const char *allocation_id, const char *request_id,
		  bool *ret, struct err *err);

#endif
