/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include <errno.h>

/* A listing while it is made. */
struct listing {
	fuse_req_t request;
	struct host *host;
	struct handle *handle;
	bool is_out_of_memory;
};

struct handle *handle_new(struct handle **list)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->next = *list;
	handle->link = list;
	if (handle->next)
		handle->next->link = &handle->next;
	*list = handle;
	return handle;
}

void handle_free(struct handle *handle)
{
	if (!handle)
		return;
	*handle->link = handle->next;
	if (handle->next)
		handle->next->link = handle->link;
	if (handle->poller)
		fuse_pollhandle_destroy(handle->poller);
	free(handle->text);
	free(handle);
}

static void handle_empty(struct handle *handle)
{
	free(handle->text);
	handle->text = NULL;
	handle->length = 0;
}

int handle_show(struct handle *handle, struct host *host, struct node node)
{
	FILE *out;
	int r;

	handle_empty(handle);
	out = open_memstream(&handle->text, &handle->length);
	if (!out)
		return -ENOMEM;
	r = tree_show(host, node, out);
	if (fclose(out) != 0)
		r = -ENOMEM;
	if (r != 0)
		handle_empty(handle);
	return r;
}

int handle_events(struct handle *handle, const struct host *host, size_t size)
{
	FILE *out;
	int r;

	handle_empty(handle);
	out = open_memstream(&handle->text, &handle->length);
	if (!out)
		return -ENOMEM;
	r = event_read(host, &handle->position, size, out);
	if (fclose(out) != 0)
		r = -ENOMEM;
	if (r == 0)
		r = -EAGAIN;
	return r < 0 ? r : 0;
}

static void listing_add(void *arg, const char *name, struct node node)
{
	struct listing *listing = arg;
	struct handle *handle = listing->handle;
	size_t size = fuse_add_direntry(listing->request, NULL, 0, name, NULL, 0);
	struct tree_stat from;
	struct stat st = { 0 };
	char *text;

	if (tree_stat(listing->host, node, &from) == 0) {
		st.st_ino = from.inode;
		st.st_mode = from.mode;
	}
	text = realloc(handle->text, handle->length + size);
	if (!text) {
		listing->is_out_of_memory = true;
		return;
	}
	handle->text = text;
	fuse_add_direntry(listing->request, text + handle->length, size, name, &st,
			  (off_t)(handle->length + size));
	handle->length += size;
}

int handle_list(struct handle *handle, fuse_req_t request, struct host *host, struct node node)
{
	struct listing listing = { .request = request, .host = host, .handle = handle };
	int r;

	handle_empty(handle);
	listing_add(&listing, ".", node);
	listing_add(&listing, "..", node);
	r = tree_list(host, node, listing_add, &listing);
	return listing.is_out_of_memory ? -ENOMEM : r;
}

void handle_reply(const struct handle *handle, fuse_req_t request, size_t size, off_t offset)
{
	size_t start = (size_t)offset;

	if (offset < 0 || start >= handle->length)
		fuse_reply_buf(request, NULL, 0);
	else
		fuse_reply_buf(request, handle->text + start,
			       size < handle->length - start ? size : handle->length - start);
}
