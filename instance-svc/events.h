/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened lately, for those who watch: the last EVENTS_KEPT events in memory. An event's
 * id is "<start>-<sequence>", both of fixed width: the start of this process in milliseconds
 * since the epoch, and a number that counts up from 1. So an id tells whether what came after
 * it is still here, also when this process was started again in between.
 *
 * Thread safe. Publishing never waits for a watcher.
 */

#ifndef INSTANCE_SVC_EVENTS_H
#define INSTANCE_SVC_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/scoped.h"
#include "hypeman/instance/v1/instance_service.pb-c.h"

#define EVENTS_KEPT 4096

/* Event.type; what is not of instances here is published by the image store. */
#define EVENT_INSTANCE_CREATED "instance.created"
#define EVENT_INSTANCE_STATE   "instance.state"
#define EVENT_INSTANCE_DELETED "instance.deleted"
#define EVENT_GPU_ALLOCATED    "gpu.allocated"
#define EVENT_GPU_RELEASED     "gpu.released"
#define EVENT_IMAGE_PROGRESS   "image.progress"
#define EVENT_IMAGE_READY      "image.ready"
#define EVENT_IMAGE_FAILED     "image.failed"
#define EVENT_IMAGE_DELETED    "image.deleted"
#define EVENT_LOST	       "events.lost"

struct events;

struct events *events_new(void); /* NULL when out of memory */
void events_free(struct events *events);
SCOPED_DEFINE(struct events *, events_free);

/*
 * Keeps a copy of the event, with an id and the time; those of `event` are ignored, and it is
 * not changed. NULL events: nobody is interested.
 */
void events_publish(struct events *events, const Hypeman__Instance__V1__Event *event);

/* How far one watcher has got; it lives in the watcher and is on a list while it watches. */
struct events_watcher {
	uint64_t next; /* sequence of the next event to take */
	bool lost;     /* the next answer says so */
	void (*wake)(void *user);
	void *user;
	struct events_watcher *other; /* owned by the list */
};

/*
 * From now on, or after the event whose id is `after` (empty: from now on). `wake` is called,
 * by any thread and also before this returns, when there is something to take: it must not
 * wait. ERR_INVALID_ARGUMENT for what is no id.
 */
int events_watch(struct events *events, const char *after, void (*wake)(void *user), void *user,
		 struct events_watcher *watcher, struct err *err);
void events_unwatch(struct events *events, struct events_watcher *watcher);

/*
 * The next event, or NULL when there is none yet. Freed with
 * protobuf_c_message_free_unpacked(). What is no longer kept comes as one EVENT_LOST.
 */
Hypeman__Instance__V1__Event *events_take(struct events *events, struct events_watcher *watcher);

#endif
