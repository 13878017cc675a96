/* SPDX-License-Identifier: Apache-2.0 */
#include "settle.h"

#include "binding.h"
#include "common/log.h"
#include "mdev.h"
#include "vendor.h"

/* What came of an intent; 0: not known, or half done. */
static enum journal_state find_outcome(const struct host *host, const struct journal_entry *entry)
{
	struct op_mdev mdev;
	uint32_t type;
	int r;

	switch (entry->kind) {
	case JOURNAL_MDEV:
		r = mdev_find(&host->sysfs, entry->uuid, entry->parent, &mdev);
		return r < 0 ? 0 : r > 0 ? JOURNAL_CREATED : JOURNAL_FAILED;
	case JOURNAL_VENDOR:
		r = vendor_read_type(&host->sysfs, entry->parent, &type);
		if (r < 0)
			return 0;
		return type == entry->vendor_type ? JOURNAL_CREATED : JOURNAL_FAILED;
	case JOURNAL_BINDING:
		r = binding_state(host, entry);
		if (r == BINDING_BOUND)
			return JOURNAL_CREATED;
		/* Half done stays an intent, which OP_RESTORE_DRIVER undoes. */
		return r >= 0 && binding_is_undone(host, entry) == 1 ? JOURNAL_FAILED : 0;
	}
	return 0;
}

static int settle_one(const struct host *host, struct journal *journal,
		      const struct journal_entry *entry, struct err *err)
{
	enum journal_state outcome;

	if (entry->state != JOURNAL_INTENT || writer_is_alive(entry->writer))
		return 0;
	outcome = find_outcome(host, entry);
	if (outcome == 0)
		return 0;
	log_info("%s on %s: its worker was killed, it %s", entry->uuid, PCI_STR(entry->parent),
		 outcome == JOURNAL_CREATED ? "exists" : "was not made");
	return journal_append(journal, entry, outcome, err);
}

/*
 * mdevs first: their answer comes from the kernel's own tables. That of the others may wait for a
 * driver that hangs.
 */
int settle_run(const struct host *host, struct journal *journal, struct err *err)
{
	struct journal_entries entries;
	int r = journal_load(journal, &entries, err);

	for (int late = 0; late < 2; late++)
		for (size_t i = 0; r == 0 && i < entries.count; i++)
			if ((entries.items[i].kind != JOURNAL_MDEV) == late)
				r = settle_one(host, journal, &entries.items[i], err);
	journal_entries_done(&entries);
	return r;
}
