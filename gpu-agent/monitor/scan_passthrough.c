/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "plan.h"
#include "request.h"
#include "restore.h"
#include "scan.h"

static void send_members(const struct scan *scan, const struct plan *plan)
{
	struct op_record record;

	for (size_t i = 0; i < plan->member_count; i++) {
		job_record_init(&record, OP_RECORD_GROUP_MEMBER);
		record.group_member = plan->members[i];
		job_send(scan->job, &record);
	}
}

void scan_passthrough(const struct scan *scan, struct op_pci *pci, bool send)
{
	struct plan plan;
	bool ours = journal_entries_at(&scan->journal, JOURNAL_BINDING, pci->address) != NULL;

	if (pci->is_virtual)
		return;
	plan_make(&scan->job->host, scan->job->policy, pci->address, ours, scan->has_nvswitch,
		  &plan);
	pci->bind_refusal = (uint8_t)plan.refusal;
	if (send)
		send_members(scan, &plan);
}

void scan_bindings(const struct scan *scan)
{
	for (size_t i = 0; i < scan->journal.count; i++) {
		const struct journal_entry *entry = &scan->journal.items[i];

		if (entry->kind == JOURNAL_BINDING &&
		    request_is_in_scope(&scan->job->request, entry->parent))
			restore_send_binding(scan->job, entry);
	}
}
