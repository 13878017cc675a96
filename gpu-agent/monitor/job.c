/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "mdev.h"

void job_end(struct job *job, enum op_status status, int error, const char *format, ...)
{
	struct op_result *result = &job->result;
	va_list args;
	size_t used;

	result->status = status;
	result->error = abs(error);
	va_start(args, format);
	vsnprintf(result->message, sizeof(result->message), format, args);
	va_end(args);
	used = strlen(result->message);
	if (error != 0)
		snprintf(result->message + used, sizeof(result->message) - used, ": %s",
			 strerror(abs(error)));
}

void job_send(struct job *job, const struct op_record *record)
{
	if (send(job->socket, record, sizeof(*record), MSG_NOSIGNAL) == sizeof(*record))
		job->result.records++;
}

void job_send_mdev(struct job *job, const struct op_mdev *mdev)
{
	struct op_record record;

	memset(&record, 0, sizeof(record)); /* no stray bytes cross */
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_MDEV;
	record.mdev = *mdev;
	job_send(job, &record);
}

/* Nobody is left to tell when this fails: serve has closed its end. */
void job_answer(struct job *job)
{
	job->result.version = OPS_VERSION;
	(void)!send(job->socket, &job->result, sizeof(job->result), MSG_NOSIGNAL);
}

static int end_foreign(struct job *job)
{
	const struct op_request *request = &job->request;
	struct op_mdev mdev;
	int there = mdev_find(&job->host.sysfs, request->uuid, request->parent, &mdev);

	if (there == 0) {
		job_end(job, OP_NOT_FOUND, 0, "there is no mdev %s", request->uuid);
		return 0;
	}
	job_end(job, OP_REFUSED, 0, "mdev %s was not made by this agent in this boot",
		request->uuid);
	return -1;
}

int job_find_ours(struct job *job, struct journal_entry *ret_entry, struct op_mdev *ret_mdev)
{
	const char *uuid = job->request.uuid;
	struct err err;
	int r;

	memset(ret_entry, 0, sizeof(*ret_entry));
	r = journal_find(&job->journal, uuid, ret_entry, &err);
	if (r < 0) {
		job_end(job, OP_FAILED, 0, "%s", err.message);
		return -1;
	}
	if (r == 0)
		return end_foreign(job);
	r = mdev_find(&job->host.sysfs, uuid, ret_entry->parent, ret_mdev);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot read mdev %s", uuid);
		return -1;
	}
	if (r == 0) {
		job_end(job, OP_NOT_FOUND, 0, "mdev %s is gone", uuid);
		return 0;
	}
	/* The same UUID on another parent or of another type: somebody else made that one. */
	if (pci_addr_compare(ret_mdev->parent, ret_entry->parent) != 0 ||
	    (!ret_mdev->half_removed && strcmp(ret_mdev->type, ret_entry->type) != 0)) {
		job_end(job, OP_REFUSED, 0, "mdev %s is not the one that this agent made", uuid);
		return -1;
	}
	ret_mdev->in_journal = 1;
	return 1;
}
