/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

static void kept_write_end(struct waiter *waiter, int result)
{
	struct kept *kept = (struct kept *)waiter;

	if (result < 0)
		fuse_reply_err(kept->request, -result);
	else
		fuse_reply_write(kept->request, kept->size);
	kept_free(kept);
}

struct kept *kept_new(fuse_req_t request, size_t size)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return NULL;
	kept->waiter.done = kept_write_end;
	kept->request = request;
	kept->size = size;
	return kept;
}

void kept_free(struct kept *kept)
{
	if (!kept)
		return;
	if (kept->link)
		*kept->link = kept->next;
	if (kept->link && kept->next)
		kept->next->link = kept->link;
	free(kept);
}

void kept_add(struct kept **list, struct kept *take_kept)
{
	take_kept->next = *list;
	take_kept->link = list;
	if (take_kept->next)
		take_kept->next->link = &take_kept->next;
	*list = take_kept;
}

void kept_fail_all(struct kept **list, int error)
{
	while (*list) {
		fuse_reply_err((*list)->request, -error);
		kept_free(*list);
	}
}
