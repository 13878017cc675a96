/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the monitor for a worker and has it do one operation. Thread safe: threads wait
 * for different workers at the same time.
 *
 * A worker that does not end in time is given up: it may be stuck in the kernel, and may
 * still do what it was told, at any time. That is OUTCOME_UNKNOWN, and only a later scan
 * tells what became of it.
 */

#ifndef GPU_AGENT_SERVE_MONITOR_CLIENT_H
#define GPU_AGENT_SERVE_MONITOR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/scoped.h"
#include "gpu-agent/ops.h"

struct monitor_client;

/* Takes the socket to the monitor. writes: how many operations but scans run at once. */
struct monitor_client *monitor_client_new(int take_fd, unsigned writes);
void monitor_client_free(struct monitor_client *client); /* after the last run ended */
SCOPED_DEFINE(struct monitor_client *, monitor_client_free);

enum outcome_kind {
	OUTCOME_ANSWERED,    /* result and records are the worker's */
	OUTCOME_NOT_STARTED, /* nothing was touched; result.message says why */
	OUTCOME_UNKNOWN,     /* result.message says what happened to the worker */
};

struct outcome {
	enum outcome_kind kind;
	struct op_result result;
	struct op_record *records; /* owned */
	size_t record_count;
	bool timed_out;	    /* OUTCOME_UNKNOWN: the worker runs still, and was given up */
	uint64_t worker_id; /* 0: none was started */
	size_t stuck_count; /* when the worker started: */
	uint64_t stuck[OPS_WORKERS_MAX]; /* workers that were given up and were not gone then */
};

/* Never fails otherwise than by the outcome, which the caller ends with outcome_done(). */
void monitor_client_run(struct monitor_client *client, const struct op_request *request,
			int timeout_ms, struct outcome *ret);

/*
 * OP_SCAN. A large host's takes long and is not stuck: timeout_ms is for each thing that it
 * finds, twelve times as much for all. It ends early, unanswered, once cancel_fd is readable.
 */
void monitor_client_scan(struct monitor_client *client, const struct op_request *request,
			 int timeout_ms, int cancel_fd, struct outcome *ret);

void outcome_done(struct outcome *outcome);

/* For scoped(outcome_done) struct outcome outcome = { 0 }; */
static inline void outcome_done_scoped(struct outcome *outcome)
{
	outcome_done(outcome);
}

#endif
