/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes that meet faults, and writes that come late: kept by a fault, or by the lock
 * of a device whose unbind blocks. They go on in the order in which they came.
 */

#ifndef SIMHOST_LATE_H
#define SIMHOST_LATE_H

#include "tree.h"

struct late_write {
	struct late_write *next;
	enum op op;
	bool is_done;		   /* only its return is late */
	struct function *function; /* borrowed from the host */
	struct node node;
	char *text; /* owned */
	size_t length;
	struct process writer;
	struct waiter *waiter;
};

struct path_fault {
	struct path_fault *next;
	uint64_t inode; /* of the file, as tree_stat() gives it */
	enum read_fault fault;
};

/* Does store(host, node, write), which is this operation on this function, as its faults let. */
int late_store(struct host *host, struct node node, struct function *function, enum op op,
	       tree_store_fn *store, const struct tree_write *write);

/* What a read of this file meets; function NULL: it belongs to none. */
enum read_fault late_read_fault(struct host *host, struct node node,
				const struct function *function);

/* READ_WELL takes the fault away. -ENOMEM. */
int late_set_read_fault(struct host *host, struct node node, enum read_fault fault);

/* All faults end, or only those of one function, and what they kept goes on. */
void late_end_faults(struct host *host);
void late_end_faults_of(struct host *host, struct function *function);

/*
 * Whatever can go on does: to be called after each change and when the time that it returned
 * has come (of host_now_ms(); 0: nothing waits for time).
 */
int64_t late_settle(struct host *host);

void late_free_all(struct host *host);

#endif
