/* SPDX-License-Identifier: Apache-2.0 */
#include "settle.h"

#include "common/log.h"
#include "mdev.h"

static int settle_one(const struct host *host, struct journal *journal,
		      const struct journal_entry *entry, struct err *err)
{
	struct op_mdev mdev;
	int there;

	if (entry->state != JOURNAL_INTENT || writer_is_alive(entry->writer))
		return 0;
	there = mdev_find(&host->sysfs, entry->uuid, entry->parent, &mdev);
	if (there < 0)
		return 0;
	log_info("mdev %s: its worker was killed, it %s", entry->uuid,
		 there ? "exists" : "was not created");
	return journal_append(journal, entry, there ? JOURNAL_CREATED : JOURNAL_FAILED, err);
}

int settle_run(const struct host *host, struct journal *journal, struct err *err)
{
	struct journal_entries entries;
	int r = journal_load(journal, &entries, err);

	for (size_t i = 0; r == 0 && i < entries.count; i++)
		r = settle_one(host, journal, &entries.items[i], err);
	journal_entries_done(&entries);
	return r;
}
