/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of files. Like sysfs, a file is shown anew when it is read from its start. A read that
 * hangs, or waits for an event, is kept and tried again when something has changed.
 */

#ifndef SIMHOST_READING_H
#define SIMHOST_READING_H

#include "kept.h"

struct reading {
	struct host *host;	 /* borrowed */
	struct handle **handles; /* borrowed: of all that is open */
	struct kept *kept;	 /* owned */
};

void reading_read(struct reading *reading, fuse_req_t request, struct node node,
		  struct handle *handle, size_t size, off_t offset, bool may_wait);

/* take_poller is told when there is an event to read; NULL: only the answer is wanted. */
void reading_poll(struct reading *reading, fuse_req_t request, struct node node,
		  struct handle *handle, struct fuse_pollhandle *take_poller);

/* Something has changed. */
void reading_retry(struct reading *reading);

bool node_is_events(struct host *host, struct node node);

#endif
