/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root's record of the mediated devices it made in this boot, and so may remove, grant and
 * revoke. What is not in here is foreign.
 *
 *   intent    written and synced before the kernel is asked to create
 *   created   the device was read back and is what the intent says
 *   failed    the kernel refused; there is no such device of ours
 *   removed   the device is gone
 *
 * An intent counts as ours: its writer may have been killed after the kernel acted (settle.h
 * finds out).
 * Devices do not outlive a boot, so records of another boot mean nothing.
 *
 * The file holds a line a record, each with a checksum: a line that was torn by a crash is
 * skipped and never harms the next. A lost "intent" makes a device foreign, a lost "removed"
 * leaves an entry that fits no device: both fail towards not touching.
 *
 * Every call opens, locks (flock on "lock"), works, syncs and unlocks: nobody holds the lock
 * while the kernel is written to. Only workers use it.
 */

#ifndef GPU_AGENT_MONITOR_JOURNAL_H
#define GPU_AGENT_MONITOR_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/pci_addr.h"
#include "gpu-agent/ops.h"
#include "writer.h"

enum journal_state {
	JOURNAL_INTENT = 1,
	JOURNAL_CREATED,
	JOURNAL_FAILED,
	JOURNAL_REMOVED,
};

struct journal_entry {
	char uuid[OPS_UUID_SIZE];
	char type[OPS_TYPE_MAX];
	struct pci_addr parent;
	struct writer writer;	  /* of the intent */
	enum journal_state state; /* JOURNAL_INTENT or JOURNAL_CREATED in what is delivered */
};

struct journal {
	int dir;       /* owned; -1: closed */
	char boot[37]; /* this boot's id */
};

#define JOURNAL_CLOSED ((struct journal){ .dir = -1 })

/* The entries of this boot that may have a device. */
struct journal_entries {
	size_t count;
	struct journal_entry *items; /* owned */
};

/* Above this size an append rewrites the file with what still counts. */
#define JOURNAL_COMPACT_BYTES (256u << 10)

/* directory must belong to this process's user and be closed to others. */
int journal_open(const char *directory, const char *boot, struct journal *ret, struct err *err);
void journal_close(struct journal *journal);

/* /proc/sys/kernel/random/boot_id into ret[37]. */
int journal_read_boot(char *ret, struct err *err);

int journal_load(struct journal *journal, struct journal_entries *ret, struct err *err);
void journal_entries_done(struct journal_entries *entries);
/* NULL: not ours. Borrowed from entries. */
const struct journal_entry *journal_entries_find(const struct journal_entries *entries,
						 const char *uuid);

/* The entry of one uuid: 1, or 0 when there is none, or -1 with *err. */
int journal_find(struct journal *journal, const char *uuid, struct journal_entry *ret,
		 struct err *err);

/*
 * The caller's intent, on disk when this returns 0; 1: the UUID has an entry already, nothing
 * was written. Fills entry's writer and state.
 */
int journal_begin(struct journal *journal, struct journal_entry *entry, struct err *err);

/* On disk when this returns. state: JOURNAL_CREATED, JOURNAL_FAILED or JOURNAL_REMOVED. */
int journal_append(struct journal *journal, const struct journal_entry *entry,
		   enum journal_state state, struct err *err);

/* Rewrites the file with the entries that still count; a crash leaves the old one or the new. */
int journal_compact(struct journal *journal, struct err *err);

#endif
