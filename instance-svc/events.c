/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "common/log.h"

typedef Hypeman__Instance__V1__Event wire_event;

/* 13 digits of milliseconds last until 2286. */
#define ID_FORMAT  "%013" PRIu64 "-%012" PRIu64
#define ID_PATTERN "%13" SCNu64 "-%12" SCNu64 "%c"

struct id_text {
	char s[48];
};

/* Nearly all events fit; those with a long error or reference do not. */
#define SMALL_EVENT 240

/* A packed event. */
struct kept {
	uint8_t *large; /* owned; NULL: it is in `small` */
	size_t size;	/* 0: lost */
	uint8_t small[SMALL_EVENT];
};

struct events {
	pthread_mutex_t lock;
	uint64_t start;	    /* milliseconds since the epoch */
	uint64_t published; /* sequence of the last one; 0: none */
	struct kept *ring;  /* EVENTS_KEPT of them */
	struct events_watcher *watchers;
};

#define RING_BYTES (EVENTS_KEPT * sizeof(struct kept))

struct events *events_new(void)
{
	struct events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	/* There at once, so that the memory of a service does not grow for as long as this fills.
	 */
	events->ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (events->ring == MAP_FAILED) {
		free(events);
		return NULL;
	}
	pthread_mutex_init(&events->lock, NULL);
	events->start = (uint64_t)clock_realtime_ms();
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(events->ring[i].large);
	munmap(events->ring, RING_BYTES);
	pthread_mutex_destroy(&events->lock);
	free(events);
}

static uint8_t *bytes_of(struct kept *kept)
{
	return kept->large ? kept->large : kept->small;
}

static struct kept *place(struct events *events, uint64_t sequence)
{
	return &events->ring[sequence % EVENTS_KEPT];
}

static uint64_t oldest_locked(const struct events *events)
{
	return events->published > EVENTS_KEPT ? events->published - EVENTS_KEPT + 1 : 1;
}

static struct id_text id_format(const struct events *events, uint64_t sequence)
{
	struct id_text text;

	snprintf(text.s, sizeof(text.s), ID_FORMAT, events->start, sequence);
	return text;
}

static bool make_room(struct kept *kept, size_t size)
{
	free(kept->large);
	kept->large = size > SMALL_EVENT ? malloc(size) : NULL;
	kept->size = size > SMALL_EVENT && !kept->large ? 0 : size;
	return kept->size > 0;
}

/* The event under this sequence; without memory its place is left empty, which is a loss. */
static void keep_locked(struct events *events, uint64_t sequence, const wire_event *event)
{
	struct kept *kept = place(events, sequence);
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct id_text id = id_format(events, sequence);
	uint64_t ms = (uint64_t)clock_realtime_ms();
	wire_event stamped = *event;

	time.seconds = (int64_t)(ms / 1000);
	time.nanos = (int32_t)(ms % 1000) * 1000000;
	stamped.id = id.s;
	stamped.time = &time;
	if (make_room(kept, hypeman__instance__v1__event__get_packed_size(&stamped)))
		hypeman__instance__v1__event__pack(&stamped, bytes_of(kept));
	else
		log_warning("an event is lost: out of memory");
}

void events_publish(struct events *events, const wire_event *event)
{
	if (!events)
		return;
	pthread_mutex_lock(&events->lock);
	events->published++;
	keep_locked(events, events->published, event);
	for (struct events_watcher *watcher = events->watchers; watcher; watcher = watcher->other)
		watcher->wake(watcher->user);
	pthread_mutex_unlock(&events->lock);
}

static int read_position_locked(const struct events *events, const char *after,
				struct events_watcher *watcher, struct err *err)
{
	uint64_t start, sequence;
	struct id_text again;
	char rest;

	watcher->next = events->published + 1;
	if (*after == '\0')
		return 0;
	if (sscanf(after, ID_PATTERN, &start, &sequence, &rest) != 2)
		return err_field(err, "after", "after is '%.64s': must be the id of an event",
				 after);
	snprintf(again.s, sizeof(again.s), ID_FORMAT, start, sequence);
	if (strcmp(again.s, after) != 0)
		return err_field(err, "after", "after is '%.64s': must be the id of an event",
				 after);
	/* Of another life of this process, or one that this life has not come to. */
	watcher->lost = start != events->start || sequence > events->published;
	watcher->next = watcher->lost ? oldest_locked(events) : sequence + 1;
	return 0;
}

int events_watch(struct events *events, const char *after, void (*wake)(void *user), void *user,
		 struct events_watcher *watcher, struct err *err)
{
	int r;

	*watcher = (struct events_watcher){ .wake = wake, .user = user };
	pthread_mutex_lock(&events->lock);
	r = read_position_locked(events, after, watcher, err);
	if (r == 0) {
		watcher->other = events->watchers;
		events->watchers = watcher;
	}
	pthread_mutex_unlock(&events->lock);
	return r;
}

void events_unwatch(struct events *events, struct events_watcher *watcher)
{
	pthread_mutex_lock(&events->lock);
	for (struct events_watcher **at = &events->watchers; *at; at = &(*at)->other) {
		if (*at != watcher)
			continue;
		*at = watcher->other;
		break;
	}
	pthread_mutex_unlock(&events->lock);
}

/* Its id is that of the last one lost: whoever goes on after it gets all that is kept. */
static wire_event *tell_loss_locked(struct events *events, struct events_watcher *watcher)
{
	wire_event *event = malloc(sizeof(*event));

	if (!event)
		return NULL;
	hypeman__instance__v1__event__init(event);
	event->id = strdup(id_format(events, watcher->next - 1).s);
	event->type = strdup(EVENT_LOST);
	if (!event->id || !event->type) {
		protobuf_c_message_free_unpacked(&event->base, NULL);
		return NULL;
	}
	watcher->lost = false;
	return event;
}

static wire_event *take_locked(struct events *events, struct events_watcher *watcher)
{
	struct kept *kept;

	if (watcher->next < oldest_locked(events)) {
		watcher->next = oldest_locked(events);
		watcher->lost = true;
	}
	while (!watcher->lost && watcher->next <= events->published) {
		kept = place(events, watcher->next++);
		if (kept->size > 0)
			return hypeman__instance__v1__event__unpack(NULL, kept->size,
								    bytes_of(kept));
		watcher->lost = true;
	}
	return watcher->lost ? tell_loss_locked(events, watcher) : NULL;
}

wire_event *events_take(struct events *events, struct events_watcher *watcher)
{
	wire_event *event;

	pthread_mutex_lock(&events->lock);
	event = take_locked(events, watcher);
	pthread_mutex_unlock(&events->lock);
	return event;
}
