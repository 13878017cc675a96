/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one worker does: a request that has been checked, the host it is about, and the result
 * that grows. Each operation is a function over a job that ends it exactly once.
 */

#ifndef GPU_AGENT_MONITOR_JOB_H
#define GPU_AGENT_MONITOR_JOB_H

#include "gpu-agent/ops.h"
#include "host.h"
#include "journal.h"
#include "policy.h"

struct job {
	int socket; /* borrowed; to serve */
	const struct policy *policy;
	struct op_request request;
	struct host host;
	struct journal journal;
	struct op_result result;
};

/* error: an errno, negative or not; 0: none. */
void job_end(struct job *job, enum op_status status, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A record that serve does not take is not counted: a scan is not whole then. */
void job_send(struct job *job, const struct op_record *record);
void job_send_mdev(struct job *job, const struct op_mdev *mdev);

/* Sends the result. */
void job_answer(struct job *job);

/*
 * The device of the request's UUID, when it is one that root made: 1 with both filled.
 * Otherwise the job has ended: 0 when the device is gone (the entry is filled if root made
 * it), -1 when it is not ours or cannot be known.
 */
int job_find_ours(struct job *job, struct journal_entry *ret_entry, struct op_mdev *ret_mdev);

/* The operations of ops.h. */
void scan_run(struct job *job);
void create_run(struct job *job);
void remove_run(struct job *job);
void access_grant_run(struct job *job);
void access_revoke_run(struct job *job);
void access_holders_run(struct job *job);

#endif
