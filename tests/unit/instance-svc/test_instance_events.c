/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "instance-svc/events.h"

typedef Hypeman__Instance__V1__Event wire_event;

static int wakes;

static void count_wake(void *user)
{
	(void)user;
	wakes++;
}

static void publish(struct events *events, const char *type)
{
	wire_event event = HYPEMAN__INSTANCE__V1__EVENT__INIT;

	event.type = (char *)(uintptr_t)type;
	events_publish(events, &event);
}

static struct events_watcher watch(struct events *events, const char *after)
{
	struct events_watcher watcher;
	struct err err;

	/* The list keeps the address: only for looks that end before another watch begins. */
	assert_int_equal(events_watch(events, after, count_wake, NULL, &watcher, &err), 0);
	events_unwatch(events, &watcher);
	return watcher;
}

struct taken {
	char type[32], id[64];
};

static struct taken take(struct events *events, struct events_watcher *watcher)
{
	wire_event *event = events_take(events, watcher);
	struct taken taken = { .type = "none" };

	if (!event)
		return taken;
	snprintf(taken.type, sizeof(taken.type), "%s", event->type);
	snprintf(taken.id, sizeof(taken.id), "%s", event->id);
	protobuf_c_message_free_unpacked(&event->base, NULL);
	return taken;
}

static void a_watcher_gets_what_comes_after_it_began(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher;

	(void)state;
	publish(events, "before");
	watcher = watch(events, "");
	publish(events, EVENT_INSTANCE_CREATED);
	publish(events, EVENT_INSTANCE_STATE);

	assert_string_equal(take(events, &watcher).type, EVENT_INSTANCE_CREATED);
	assert_string_equal(take(events, &watcher).type, EVENT_INSTANCE_STATE);
	assert_string_equal(take(events, &watcher).type, "none");
}

static void an_id_is_a_place_to_go_on_from(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher = watch(events, "");
	struct taken first, second;

	(void)state;
	publish(events, "one");
	publish(events, "two");
	publish(events, "three");
	first = take(events, &watcher);
	second = take(events, &watcher);
	assert_true(strcmp(first.id, second.id) < 0);
	watcher = watch(events, first.id);

	assert_string_equal(take(events, &watcher).id, second.id);
	assert_string_equal(take(events, &watcher).type, "three");
	assert_string_equal(take(events, &watcher).type, "none");
}

static void what_is_no_longer_kept_is_told_once(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher = watch(events, "");
	struct taken first, lost;

	(void)state;
	publish(events, "first");
	first = take(events, &watcher);
	for (int i = 0; i < EVENTS_KEPT; i++)
		publish(events, "more");
	/* All that came after the first one is still there. */
	watcher = watch(events, first.id);
	assert_string_equal(take(events, &watcher).type, "more");

	publish(events, "last");
	watcher = watch(events, first.id);
	lost = take(events, &watcher);
	assert_string_equal(lost.type, EVENT_LOST);
	assert_string_equal(take(events, &watcher).type, "more");
	/* Going on from the loss gives the same. */
	watcher = watch(events, lost.id);
	for (int i = 0; i < EVENTS_KEPT - 1; i++)
		assert_string_equal(take(events, &watcher).type, "more");
	assert_string_equal(take(events, &watcher).type, "last");
}

static void ids_of_another_life_are_a_loss(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher;

	(void)state;
	publish(events, "kept");
	watcher = watch(events, "0000000000001-000000000001");
	assert_string_equal(take(events, &watcher).type, EVENT_LOST);
	assert_string_equal(take(events, &watcher).type, "kept");
	assert_string_equal(take(events, &watcher).type, "none");
}

static void what_is_no_id_is_refused(void **state)
{
	static const char *const bad[] = {
		"x",
		"1-1",
		"0000000000001-000000000001x",
		" 000000000001-000000000001",
		"0000000000001",
		"0000000000001-+00000000001",
	};
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(events_watch(events, bad[i], count_wake, NULL, &watcher, &err),
				 -1);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.field, "after");
	}
}

static void watchers_are_woken_until_they_leave(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher one, two;
	struct err err;

	(void)state;
	wakes = 0;
	assert_int_equal(events_watch(events, "", count_wake, NULL, &one, &err), 0);
	assert_int_equal(events_watch(events, "", count_wake, NULL, &two, &err), 0);
	publish(events, "a");
	assert_int_equal(wakes, 2);
	events_unwatch(events, &one);
	publish(events, "b");
	assert_int_equal(wakes, 3);
	events_unwatch(events, &two);
	publish(events, "c");
	assert_int_equal(wakes, 3);
}

static void an_event_has_the_time_and_its_own_fields(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher = watch(events, "");
	wire_event event = HYPEMAN__INSTANCE__V1__EVENT__INIT;
	char image[] = "docker.io/library/busybox:latest", type[] = EVENT_IMAGE_PROGRESS;
	wire_event *got;

	(void)state;
	event.type = type;
	event.image = image;
	event.bytes_done = 7;
	event.bytes_total = 9;
	events_publish(events, &event);
	got = events_take(events, &watcher);

	assert_non_null(got);
	assert_string_equal(got->image, image);
	assert_int_equal(got->bytes_done, 7);
	assert_int_equal(got->bytes_total, 9);
	assert_in_range(got->time->seconds, time(NULL) - 5, time(NULL));
	protobuf_c_message_free_unpacked(&got->base, NULL);
}

/* Around the size up to which an event needs no memory of its own; each place is used twice. */
static void an_event_of_any_size_comes_back_whole(void **state)
{
	scoped(events_free) struct events *events = events_new();
	struct events_watcher watcher = watch(events, "");
	char error[600];

	(void)state;
	for (size_t i = 0; i < EVENTS_KEPT + 1200; i++) {
		wire_event event = HYPEMAN__INSTANCE__V1__EVENT__INIT, *got;

		snprintf(error, sizeof(error), "%0*d", (int)(i * 7 % sizeof(error)), 1);
		event.error = error;
		events_publish(events, &event);
		got = events_take(events, &watcher);
		assert_non_null(got);
		assert_string_equal(got->error, error);
		protobuf_c_message_free_unpacked(&got->base, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_watcher_gets_what_comes_after_it_began),
		cmocka_unit_test(an_id_is_a_place_to_go_on_from),
		cmocka_unit_test(what_is_no_longer_kept_is_told_once),
		cmocka_unit_test(ids_of_another_life_are_a_loss),
		cmocka_unit_test(what_is_no_id_is_refused),
		cmocka_unit_test(watchers_are_woken_until_they_leave),
		cmocka_unit_test(an_event_has_the_time_and_its_own_fields),
		cmocka_unit_test(an_event_of_any_size_comes_back_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
