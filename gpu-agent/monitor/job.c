/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "pci.h"

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

void job_record_init(struct op_record *record, enum op_record_kind kind)
{
	memset(record, 0, sizeof(*record)); /* padding too */
	record->version = OPS_VERSION;
	record->kind = kind;
}

void job_send_mdev(struct job *job, const struct op_mdev *mdev)
{
	struct op_record record;

	job_record_init(&record, OP_RECORD_MDEV);
	record.mdev = *mdev;
	job_send(job, &record);
}

/* Nobody is left to tell when this fails: serve has closed its end. */
void job_answer(struct job *job)
{
	job->result.version = OPS_VERSION;
	(void)!send(job->socket, &job->result, sizeof(job->result), MSG_NOSIGNAL);
}

int job_may_touch(struct job *job, struct pci_addr address)
{
	const struct tree *sysfs = &job->host.sysfs;
	struct pci_identity identity;
	struct pci_addr physical;
	int r = pci_read_identity(sysfs, address, &identity);

	if (r == 0)
		r = pci_read_physical(sysfs, address, &physical);
	if (r < 0) {
		job_end(job, r == -ENOENT ? OP_NOT_FOUND : OP_KERNEL, r, "cannot read what %s is",
			PCI_STR(address));
		return -1;
	}
	if (policy_may_touch(job->policy, identity.vendor, identity.class_code) &&
	    policy_may_touch_address(job->policy, physical))
		return 0;
	job_end(job, OP_REFUSED, 0,
		"%s has vendor %04x and class %06x on GPU %s, which device-vendor, device-class or "
		"device-address keep from being touched",
		PCI_STR(address), identity.vendor, identity.class_code, PCI_STR(physical));
	job->result.reason = OP_REASON_POLICY;
	return -1;
}

void job_note(struct job *job, const struct journal_entry *entry, enum journal_state state)
{
	struct err err;

	if (journal_append(&job->journal, entry, state, &err) < 0)
		log_error("%s", err.message);
}

int job_begin(struct job *job, struct journal_entry *entry)
{
	struct err err;
	int r = journal_begin(&job->journal, entry, &err);

	if (r == 0)
		return 0;
	if (r > 0)
		job_end(job, OP_EXISTS, 0, "%s, or what is on %s, has been begun before",
			entry->uuid, PCI_STR(entry->parent));
	else
		job_end(job, OP_FAILED, 0, "%s", err.message);
	return -1;
}
