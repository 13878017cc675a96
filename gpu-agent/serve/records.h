/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of gpu-agent-serve: whose each vGPU is and what for, and the catalogue of
 * vGPU types. SQLite in <state-dir>/gpu-agent.db, write-ahead log, synchronous=FULL: what
 * a function has returned 0 for survives a crash of the machine.
 *
 * Thread safe: one connection behind a lock of its own. Only records.c and registry.c use SQLite.
 */

#ifndef GPU_AGENT_SERVE_RECORDS_H
#define GPU_AGENT_SERVE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "allocation.h"
#include "catalogue.h"
#include "common/err.h"
#include "common/scoped.h"

struct records;

/* Fails on a database of a newer schema, and on one that another process has open. */
int records_open(const char *state_dir, struct records **ret, struct err *err);
void records_close(struct records *records);
SCOPED_DEFINE(struct records *, records_close);

/* The allocations that are neither closed nor undone, by sequence. The caller frees *ret. */
int records_load(struct records *records, struct allocation **ret, size_t *ret_count,
		 struct err *err);

/* 0 when there was none yet. */
int records_last_sequence(struct records *records, uint64_t *ret, struct err *err);

/* The intent. ABORTED when the principal's request_id or the id is on record already. */
int records_add(struct records *records, const struct allocation *allocation, struct err *err);

/* Writes the state (not ALLOCATION_UNDONE) and the IOMMU group. */
int records_set_state(struct records *records, const struct allocation *allocation,
		      enum allocation_state state, struct err *err);

/* ALLOCATION_UNDONE, and the request_id is free again. */
int records_undo(struct records *records, const char *id, struct err *err);

/* In any state. Returns 1 with *ret, 0 when there is none, -1 with *err. */
int records_find(struct records *records, const char *id, struct allocation *ret, struct err *err);
int records_find_request(struct records *records, const char *principal, const char *request_id,
			 struct allocation *ret, struct err *err);

int records_load_catalogue(struct records *records, struct catalogue *ret, struct err *err);
int records_save_catalogue(struct records *records, const struct catalogue *catalogue,
			   struct err *err);

#endif
