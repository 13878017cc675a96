/* SPDX-License-Identifier: Apache-2.0 */
#include "image_events.h"

#include <stdint.h>

#include "events.h"

static const char *const types[] = {
	[IMAGE_EVENT_PROGRESS] = EVENT_IMAGE_PROGRESS,
	[IMAGE_EVENT_READY] = EVENT_IMAGE_READY,
	[IMAGE_EVENT_FAILED] = EVENT_IMAGE_FAILED,
	[IMAGE_EVENT_DELETED] = EVENT_IMAGE_DELETED,
};

/* The event is copied, so it may borrow. */
void image_events_tell(void *user, const struct image_news *news)
{
	Hypeman__Instance__V1__Event event = HYPEMAN__INSTANCE__V1__EVENT__INIT;

	event.type = (char *)(uintptr_t)types[news->event];
	event.image = (char *)(uintptr_t)news->reference;
	event.bytes_done = (int64_t)news->progress.bytes_done;
	event.bytes_total = (int64_t)news->progress.bytes_total;
	if (news->error)
		event.error = (char *)(uintptr_t)news->error;
	events_publish(user, &event);
}
