/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root's record of what it made in this boot, and so may undo, grant and revoke: mediated
 * devices, types of virtual functions, and bindings of whole GPUs. What is not in here is
 * foreign.
 *
 *   intent    written and synced before the kernel is asked for anything
 *   created   it was read back and is what the intent says
 *   failed    the kernel refused; there is nothing of ours
 *   removed   it is gone: removed, cleared, restored
 *
 * An intent counts as ours: its writer may have been killed after the kernel acted (settle.h
 * finds out).
 * None of this outlives a boot, so records of another boot mean nothing.
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

enum journal_kind {
	JOURNAL_MDEV = 1,
	JOURNAL_VENDOR,	 /* a virtual function's type */
	JOURNAL_BINDING, /* functions of a GPU's slot that vfio-pci got */
};

#define JOURNAL_FUNCTIONS 8 /* of a PCI slot */

/* What a function of parent's slot was, and has to become again. */
struct journal_function {
	bool moved;
	char driver[OPS_DRIVER_MAX]; /* empty: none */
};

struct journal_entry {
	enum journal_kind kind;
	char uuid[OPS_UUID_SIZE]; /* of the mdev, else the allocation's id */
	char type[OPS_TYPE_MAX];  /* of an mdev */
	uint32_t vendor_type;	  /* of a virtual function */
	struct pci_addr parent;	  /* of a binding: the GPU itself */
	struct journal_function functions[JOURNAL_FUNCTIONS]; /* by function number; a binding's */
	struct writer writer;				      /* of the intent */
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

/*
 * What root set the type of that virtual function for, or who root bound that GPU for: there is
 * at most one entry of a kind for an address. NULL: nobody.
 */
const struct journal_entry *journal_entries_at(const struct journal_entries *entries,
					       enum journal_kind kind, struct pci_addr address);

/* The entry of one uuid: 1, or 0 when there is none, or -1 with *err. */
int journal_find(struct journal *journal, const char *uuid, struct journal_entry *ret,
		 struct err *err);

/*
 * The caller's intent, on disk when this returns 0; 1: the UUID has an entry already, or the
 * virtual function or GPU has; nothing was written. Fills entry's writer and state.
 */
int journal_begin(struct journal *journal, struct journal_entry *entry, struct err *err);

/* journal_append(JOURNAL_REMOVED): 1, or 0 when the entry has changed since the caller saw it. */
int journal_forget(struct journal *journal, const struct journal_entry *entry, struct err *err);

/* On disk when this returns. state: JOURNAL_CREATED, JOURNAL_FAILED or JOURNAL_REMOVED. */
int journal_append(struct journal *journal, const struct journal_entry *entry,
		   enum journal_state state, struct err *err);

/* Rewrites the file with the entries that still count; a crash leaves the old one or the new. */
int journal_compact(struct journal *journal, struct err *err);

#endif
