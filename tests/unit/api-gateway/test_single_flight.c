/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api-gateway/single_flight.h"

#define READERS 16
#define READS	200

/* A backend whose state is a number that only grows. */
struct backend {
	atomic_ulong state;
	atomic_ulong fetches;
	atomic_int running;
	atomic_bool overlapped;
	atomic_bool held; /* fetches wait until it is false */
	bool fails;
};

static void pause_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static int fetch(void *user, int timeout_ms, struct text *ret, struct err *err)
{
	struct backend *backend = user;
	unsigned long seen = atomic_load(&backend->state);

	assert_true(timeout_ms >= 1);
	atomic_fetch_add(&backend->fetches, 1);
	if (atomic_fetch_add(&backend->running, 1) != 0)
		atomic_store(&backend->overlapped, true);
	do
		pause_ms(1);
	while (atomic_load(&backend->held));
	atomic_fetch_sub(&backend->running, 1);
	if (backend->fails)
		return err_set(err, ERR_DEVICE_NOT_RESPONDING, "state %lu", seen);
	text_append_format(ret, "%lu", seen);
	return 0;
}

struct reader {
	struct single_flight *flight;
	struct backend *backend;
	unsigned long stale; /* reads that were answered with an older state */
	unsigned long wrong;
};

static void *read_and_write(void *argument)
{
	struct reader *reader = argument;

	for (int i = 0; i < READS; i++) {
		scoped_text struct text text = { 0 };
		struct err err;
		unsigned long before = atomic_fetch_add(&reader->backend->state, 1) + 1;

		if (single_flight_read(reader->flight, 10000, &text, &err))
			reader->wrong++;
		else if (strtoul(text.bytes, NULL, 10) < before)
			reader->stale++;
	}
	return NULL;
}

static void no_read_is_older_than_its_beginning(void **state)
{
	struct backend backend = { 0 };
	struct single_flight *flight = single_flight_new(fetch, &backend);
	struct reader readers[READERS];
	pthread_t threads[READERS];

	(void)state;
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ flight, &backend, 0, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, &readers[i]), 0);
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].stale, 0);
		assert_int_equal(readers[i].wrong, 0);
	}
	assert_false(atomic_load(&backend.overlapped));
	/* Shared: each reader waits for at most two fetches. */
	assert_true(atomic_load(&backend.fetches) < READERS * READS / 2);
	single_flight_free(flight);
}

static void each_read_alone_fetches_anew(void **state)
{
	struct backend backend = { 0 };
	struct single_flight *flight = single_flight_new(fetch, &backend);
	struct err err;

	(void)state;
	for (unsigned long i = 0; i < 5; i++) {
		scoped_text struct text text = { 0 };

		atomic_store(&backend.state, i);
		assert_int_equal(single_flight_read(flight, 1000, &text, &err), 0);
		assert_int_equal(strtoul(text.bytes, NULL, 10), i);
	}
	assert_int_equal(atomic_load(&backend.fetches), 5);
	single_flight_free(flight);
}

static void *read_failing(void *argument)
{
	struct reader *reader = argument;
	scoped_text struct text text = { 0 };
	struct err err;

	if (single_flight_read(reader->flight, 10000, &text, &err) != -1 ||
	    err.reason != ERR_DEVICE_NOT_RESPONDING || strncmp(err.message, "state ", 6) != 0 ||
	    text.length != 0)
		reader->wrong++;
	return NULL;
}

static void a_failure_reaches_every_reader(void **state)
{
	struct backend backend = { .fails = true };
	struct single_flight *flight = single_flight_new(fetch, &backend);
	struct reader readers[READERS];
	pthread_t threads[READERS];

	(void)state;
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ flight, &backend, 0, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, read_failing, &readers[i]), 0);
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].wrong, 0);
	}
	single_flight_free(flight);
}

static void a_reader_does_not_wait_longer_than_it_may(void **state)
{
	struct backend backend = { .held = true };
	struct single_flight *flight = single_flight_new(fetch, &backend);
	struct reader reader = { flight, &backend, 0, 0 };
	scoped_text struct text text = { 0 };
	struct timespec start, end;
	pthread_t thread;
	struct err err;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, read_and_write, &reader), 0);
	while (atomic_load(&backend.running) == 0)
		pause_ms(1);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(single_flight_read(flight, 100, &text, &err), -1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(err.reason, ERR_UNAVAILABLE);
	assert_true(end.tv_sec - start.tv_sec < 5);
	atomic_store(&backend.held, false);
	pthread_join(thread, NULL);
	assert_int_equal(reader.stale + reader.wrong, 0);
	single_flight_free(flight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_read_is_older_than_its_beginning),
		cmocka_unit_test(each_read_alone_fetches_anew),
		cmocka_unit_test(a_failure_reaches_every_reader),
		cmocka_unit_test(a_reader_does_not_wait_longer_than_it_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
