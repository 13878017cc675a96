/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of gpu-agent-serve.
 *
 * One lock guards it and is held for decisions only, never across a kernel operation, a
 * write to the database, or a wait. What such a step works on is reserved under the lock
 * first: a lease marked busy belongs to the thread that marked it. Everything else sees
 * its slot as used until that thread says otherwise.
 *
 * The inventory is the last scan's, patched by our own changes, so a reader that comes
 * after an answered write sees it. A scan takes time: changes made while one runs are
 * kept and applied to its result again.
 */

#ifndef GPU_AGENT_SERVE_AGENT_H
#define GPU_AGENT_SERVE_AGENT_H

#include <pthread.h>

#include "allocation.h"
#include "capacity.h"
#include "functions.h"
#include "host_view.h"
#include "monitor_client.h"
#include "registry.h"

struct agent_options {
	const char *sysfs_root, *dev_root; /* borrowed */
	uint16_t vendors[16];		   /* whose devices may be touched */
	size_t vendor_count;
	int write_timeout_ms;	/* one operation of a worker */
	int scan_timeout_ms;	/* a scan without news */
	int request_timeout_ms; /* all operations of one request */
	int rescan_ms;		/* between scans when nothing happens */
};

#define AGENT_OPTIONS_DEFAULT                                                                      \
	((struct agent_options){                                                                   \
		.sysfs_root = "/sys",                                                              \
		.dev_root = "/dev",                                                                \
		.vendors = { 0x10de },                                                             \
		.vendor_count = 1,                                                                 \
		.write_timeout_ms = 10000,                                                         \
		.scan_timeout_ms = 10000,                                                          \
		.request_timeout_ms = 14000,                                                       \
		.rescan_ms = 30000,                                                                \
	})

/* An allocation that is neither closed nor undone. */
struct lease {
	struct allocation allocation; /* changed only by the thread that made it busy */
	bool busy;
	int64_t busy_since_ms;
	bool unsettled;			    /* an operation's outcome is not known */
	uint64_t first_worker, last_worker; /* one of these may be stuck with it; 0: none */
	uint64_t judged_from;		    /* the first scan that can tell what became of it */
	char complaint[ERR_MESSAGE_MAX];    /* last logged reason why it cannot be released */
};

/* A device that we created or removed while a scan was running, which may have missed it. */
struct change {
	bool created;
	struct op_mdev vgpu;
};

#define AGENT_FAILURES_MAX 3 /* in a row, and the slot is in quarantine */

/* A slot on which creates failed one after another: quarantine.h. */
struct slot_failures {
	struct pci_addr slot;
	unsigned count;
	struct cordon entry; /* why and since when, for the database */
};

/* Somebody who wants to know when the generation changes. */
struct watcher {
	void (*wake)(void *user); /* with the agent's lock held: must only set something off */
	void *user;
	struct watcher *next;
};

struct agent {
	struct agent_options options;
	struct records *records;	/* borrowed; has a lock of its own */
	struct monitor_client *monitor; /* borrowed; has locks of its own */
	char boot_id[OPS_UUID_SIZE];

	pthread_mutex_t registry_lock; /* one change of the registry at a time; taken first */

	int stop_fd;		/* readable once it is stopping */
	struct op_record *seen; /* owned; the last scan, for the scanner's thread only */
	size_t seen_count;
	uint64_t first_worker; /* of this serve; 0: none yet; for the scanner's thread only */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a lease became idle, a scan was published, or the end is near */

	/* All below: under the lock. */
	struct inventory *inventory; /* owned; NULL until the first scan */
	struct functions *functions; /* owned; of the same scan */
	uint64_t bindings_from;	     /* scans before this one may show bindings that we undid */
	struct catalogue catalogue;  /* changed by the scanner's thread only */
	struct lease **leases;	     /* owned, each too; by sequence */
	size_t lease_count;
	uint64_t last_sequence;
	bool scanning;
	struct change *changes; /* owned; since the running scan began */
	size_t change_count;
	struct slot_failures *failures; /* owned */
	size_t failure_count;
	struct cordon *cordons; /* owned */
	size_t cordon_count;
	struct device *devices; /* owned; by time */
	size_t device_count;
	struct host_view *view; /* NULL: to be made for the next reader */
	uint64_t generation;
	struct watcher *watchers;	 /* borrowed */
	uint64_t scans_started;		 /* number of the last scan that began */
	uint64_t scans_published;	 /* number of the last one that became the inventory */
	size_t stuck_count;		 /* when it began: */
	uint64_t stuck[OPS_WORKERS_MAX]; /* ids of the workers that were stuck */
	struct pci_addr suspects[OPS_GPUS_MAX]; /* suspects.h */
	size_t suspect_count;
	unsigned probes; /* threads that wait for one of them */
	int64_t scan_due_ms;
	bool stopping;
};

/* Loads the database. The options are copied, records and monitor stay the caller's. */
int agent_new(const struct agent_options *options, struct records *records,
	      struct monitor_client *monitor, struct agent **ret, struct err *err);
void agent_free(struct agent *agent); /* after all threads ended */
SCOPED_DEFINE(struct agent *, agent_free);

/* Wakes everybody who waits for something, scans too; they give up. */
void agent_stop(struct agent *agent);

/* A reference to the figures as they are now. INVENTORY_NOT_READY before the first scan. */
int agent_get_view(struct agent *agent, struct host_view **ret, struct err *err);

/* The watcher is the caller's, and must stay until it is removed. */
void agent_add_watcher(struct agent *agent, struct watcher *watcher);
void agent_remove_watcher(struct agent *agent, struct watcher *watcher);

/* ---- With the lock held ---------------------------------------------------------- */

/* The generation counts it, and the next reader sees it. */
void agent_touch_locked(struct agent *agent);

struct capacity_scope {
	struct capacity capacity;
	struct claim *claims;
	struct troubled_slot *troubled;
};

/* Valid until the lock is released. */
int agent_capacity_locked(struct agent *agent, struct capacity_scope *ret);
void capacity_scope_done(struct capacity_scope *scope);

/* Borrowed; NULL when there is none. */
struct lease *lease_find_locked(struct agent *agent, const char *id);
struct lease *lease_find_request_locked(struct agent *agent, const char *principal,
					const char *request_id);

/* A new lease, busy, that holds its slot from now on. NULL: out of memory. */
struct lease *lease_add_locked(struct agent *agent, const struct allocation *allocation);
void lease_drop_locked(struct agent *agent, struct lease *take_lease);
void lease_start_locked(struct lease *lease);
void lease_end_locked(struct agent *agent, struct lease *lease);

/* Its last operation has no known outcome: that worker may change its device at any time. */
void lease_note_worker_locked(struct lease *lease, uint64_t worker_id);
/* Whether none of its workers was stuck when the last scan began: what that saw is final. */
bool lease_is_quiet_locked(const struct agent *agent, const struct lease *lease);

/* Whether something happened to wake for, until the deadline. */
bool agent_wait_locked(struct agent *agent, int64_t deadline_ms);

/* Our own change, into the inventory and into what a running scan will publish. */
void agent_record_change_locked(struct agent *agent, bool created, const struct op_mdev *vgpu);

/* ---- Scans ------------------------------------------------------------------------ */

/* A scan within delay_ms. Returns the number that it, or an earlier one, will have. */
uint64_t agent_request_scan_locked(struct agent *agent, int delay_ms);

#endif
