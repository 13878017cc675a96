/* SPDX-License-Identifier: Apache-2.0 */
#include "reading.h"

#include <errno.h>
#include <poll.h>

bool node_is_events(struct host *host, struct node node)
{
	const struct node root = { .kind = KIND_ROOT };
	struct node events;

	return tree_lookup(host, root, "events", &events) == 0 &&
	       node_pack(events) == node_pack(node);
}

/* HOST_PENDING: not yet. Otherwise the request is answered. */
static int read_try(struct reading *reading, fuse_req_t request, struct node node,
		    struct handle *handle, size_t size, off_t offset)
{
	int r = 0;

	if (node_is_events(reading->host, node)) {
		r = handle_events(handle, reading->host, size);
		offset = 0;
	} else if (offset == 0 || !handle->text) {
		r = handle_show(handle, reading->host, node);
	}
	if (r == HOST_PENDING || r == -EAGAIN)
		return HOST_PENDING;
	if (r < 0)
		fuse_reply_err(request, -r);
	else
		handle_reply(handle, request, size, offset);
	return 0;
}

void reading_read(struct reading *reading, fuse_req_t request, struct node node,
		  struct handle *handle, size_t size, off_t offset, bool may_wait)
{
	struct kept *kept;

	if (read_try(reading, request, node, handle, size, offset) != HOST_PENDING)
		return;
	kept = may_wait ? kept_new(request, size) : NULL;
	if (!kept) {
		fuse_reply_err(request, may_wait ? ENOMEM : EAGAIN);
		return;
	}
	kept->node = node;
	kept->handle = handle;
	kept_add(&reading->kept, kept);
}

void reading_poll(struct reading *reading, fuse_req_t request, struct node node,
		  struct handle *handle, struct fuse_pollhandle *take_poller)
{
	bool is_events = node_is_events(reading->host, node);
	bool has_event = is_events && handle->position < reading->host->events.next;

	if (take_poller && is_events && !has_event) {
		if (handle->poller)
			fuse_pollhandle_destroy(handle->poller);
		handle->poller = take_poller;
	} else if (take_poller) {
		fuse_pollhandle_destroy(take_poller);
	}
	if (is_events)
		fuse_reply_poll(request, has_event ? POLLIN | POLLRDNORM : 0);
	else
		fuse_reply_poll(request, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
}

static void pollers_tell(struct reading *reading)
{
	for (struct handle *handle = *reading->handles; handle; handle = handle->next) {
		struct fuse_pollhandle *poller = handle->poller;

		if (!poller || handle->position == reading->host->events.next)
			continue;
		handle->poller = NULL;
		fuse_lowlevel_notify_poll(poller);
		fuse_pollhandle_destroy(poller);
	}
}

void reading_retry(struct reading *reading)
{
	struct kept *kept, *next;

	for (kept = reading->kept; kept; kept = next) {
		next = kept->next;
		if (read_try(reading, kept->request, kept->node, kept->handle, kept->size, 0) !=
		    HOST_PENDING)
			kept_free(kept);
	}
	pollers_tell(reading);
}
