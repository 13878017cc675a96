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
/* To be filled and sent; nothing of this process's memory is in it. */
void job_record_init(struct op_record *record, enum op_record_kind kind);
void job_send_mdev(struct job *job, const struct op_mdev *mdev);

/*
 * Whether root's policy lets this function be changed, a physical one or one below it: 0, or -1
 * and the job has ended.
 */
int job_may_touch(struct job *job, struct pci_addr address);

/*
 * Appends to the journal. A record that cannot be written leaves the entry as it was, which
 * says: ours. That is logged.
 */
void job_note(struct job *job, const struct journal_entry *entry, enum journal_state state);

/* The caller's intent: 0, or -1 and the job has ended, when it is there already or cannot be. */
int job_begin(struct job *job, struct journal_entry *entry);

/* Sends the result. */
void job_answer(struct job *job);

/* The operations of ops.h. */
void scan_run(struct job *job);
void create_run(struct job *job);
void remove_run(struct job *job);
void access_grant_run(struct job *job);
void access_revoke_run(struct job *job);
void access_holders_run(struct job *job);
void vendor_set_run(struct job *job);
void vendor_clear_run(struct job *job);
void bind_run(struct job *job);
void restore_run(struct job *job);
void reset_run(struct job *job);
void gpu_holders_run(struct job *job);
void check_run(struct job *job);

#endif
