/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances that outlive this process: SQLite, WAL, synchronous=FULL. What
 * records_put() returned 0 for is on disk.
 *
 * A record is written before the thing it stands for is made (the GPU's request id before
 * the agent is called, the slot before files are made) and removed after the last of it is
 * gone, so that a start after a crash finds everything there is to finish or undo.
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
#include "process_id.h"
#include "spec.h"
#include "state.h"

#define RECORD_TEXT_MAX	  512
#define RECORD_DIGEST_MAX 80 /* "sha256:" and 64 digits */

struct record {
	uint64_t sequence; /* 0: not stored yet; order of creation */
	struct id id;
	struct uuid_text uuid; /* the VM's */
	enum instance_state state;
	/*
	 * Somebody asked for it to be deleted, or its creation failed: nothing is left to do
	 * but to undo. A dropped one is hidden and its name is free.
	 */
	bool deleting;
	bool dropped;
	uint32_t slot; /* its uid and gid: that many after the first of our range */
	int64_t created_ms, started_ms, stopped_ms; /* since the epoch; 0: never */
	char digest[RECORD_DIGEST_MAX];		    /* of the image; empty: not known yet */
	struct uuid_text gpu_request;	   /* intent; empty: none asked for, or given back */
	struct gpu_lease lease;		   /* what the agent gave; id empty: nothing (yet) */
	struct process_id supervisor;	   /* pid 0: none */
	char state_error[RECORD_TEXT_MAX]; /* empty: none */
	bool has_exit_code;
	int32_t exit_code;
	char exit_message[RECORD_TEXT_MAX];
};

struct records;

/* `path` of the database file; its directory exists and is ours. */
int records_open(const char *path, struct records **ret, struct err *err);
void records_close(struct records *records); /* NULL is fine */

/* Stores a new record (sequence 0, which it sets). ERR_NAME_TAKEN. */
int records_insert(struct records *records, struct record *record, const struct spec *spec,
		   struct err *err);

/* Everything but sequence, id, uuid, slot, creation time and spec. */
int records_update(struct records *records, const struct record *record, struct err *err);
int records_remove(struct records *records, const struct id *id, struct err *err);

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
