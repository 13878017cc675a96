/* SPDX-License-Identifier: Apache-2.0 */
#include "image_flight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_EVERY_NS	   50000000 /* at the callers' cancellation */
#define THREAD_STACK_BYTES (512 * 1024)
#define THREADS_MAX	   256 /* one a flight, also of those that wait */

/* Locked by its flights' lock, but for what only the thread uses. */
struct image_flight {
	struct image_flights *flights;
	struct image_flight *next;
	char *key;	  /* owned */
	unsigned waiting; /* callers, and 1 for whoever keeps it */
	unsigned long long ticket;
	bool queued; /* before the limit's gate */
	bool kept;
	bool done;
	volatile bool abandoned;
	int result;
	struct err err;
	image_flight_work work; /* the thread's */
	void *context;		/* the thread's, owned */
	void (*release)(void *context);
};

int image_flights_init(struct image_flights *flights, unsigned limit)
{
	pthread_condattr_t attributes;
	int r;

	*flights = (struct image_flights){ .limit = limit };
	r = -pthread_mutex_init(&flights->lock, NULL);
	if (r < 0)
		return r;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	r = -pthread_cond_init(&flights->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (r < 0)
		pthread_mutex_destroy(&flights->lock);
	return r;
}

void image_flights_done(struct image_flights *flights)
{
	pthread_mutex_lock(&flights->lock);
	while (flights->threads > 0)
		pthread_cond_wait(&flights->changed, &flights->lock);
	pthread_mutex_unlock(&flights->lock);
	pthread_cond_destroy(&flights->changed);
	pthread_mutex_destroy(&flights->lock);
}

static void wait_briefly_locked(struct image_flights *flights)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_EVERY_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&flights->changed, &flights->lock, &until);
}

static void flight_free(struct image_flight *flight)
{
	if (flight->context)
		flight->release(flight->context);
	free(flight->key);
	free(flight);
}

static void unlink_locked(struct image_flight *flight)
{
	struct image_flight **link = &flight->flights->first;

	while (*link && *link != flight)
		link = &(*link)->next;
	if (*link)
		*link = flight->next;
}

/* How many are before it in the queue, itself included. */
static unsigned position_locked(const struct image_flight *flight)
{
	unsigned position = 0;

	for (const struct image_flight *i = flight->flights->first; i; i = i->next)
		position += i->queued && i->ticket <= flight->ticket;
	return position;
}

/* True when this flight may work, false when nobody wants it any more. */
static bool pass_gate_locked(struct image_flight *flight)
{
	struct image_flights *flights = flight->flights;

	while (!flight->abandoned &&
	       (flights->working >= flights->limit || position_locked(flight) > 1))
		pthread_cond_wait(&flights->changed, &flights->lock);
	flight->queued = false;
	pthread_cond_broadcast(&flights->changed); /* the next one is the first now */
	if (flight->abandoned)
		return false;
	flights->working++;
	return true;
}

static void give_up_locked(struct image_flight *flight)
{
	if (--flight->waiting > 0 || flight->done)
		return;
	__atomic_store_n(&flight->abandoned, true, __ATOMIC_RELAXED);
	unlink_locked(flight); /* so that nobody joins what is given up */
	pthread_cond_broadcast(&flight->flights->changed);
}

static void *flight_thread(void *argument)
{
	struct image_flight *flight = argument;
	struct image_flights *flights = flight->flights;
	bool last;

	pthread_mutex_lock(&flights->lock);
	if (pass_gate_locked(flight)) {
		pthread_mutex_unlock(&flights->lock);
		flight->result = flight->work(flight->context, &flight->abandoned, &flight->err);
		pthread_mutex_lock(&flights->lock);
		flights->working--;
	}
	unlink_locked(flight);
	flight->done = true;
	if (flight->kept)
		flight->waiting--;
	last = flight->waiting == 0;
	pthread_cond_broadcast(&flights->changed);
	pthread_mutex_unlock(&flights->lock);
	if (last)
		flight_free(flight);

	pthread_mutex_lock(&flights->lock);
	flights->threads--; /* once the lock is free again, *flights may be gone */
	pthread_cond_broadcast(&flights->changed);
	pthread_mutex_unlock(&flights->lock);
	return NULL;
}

static struct image_flight *find_locked(const struct image_flights *flights, const char *key)
{
	struct image_flight *flight = flights->first;

	while (flight && strcmp(flight->key, key) != 0)
		flight = flight->next;
	return flight;
}

static int thread_start(struct image_flight *flight)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	r = -pthread_attr_init(&attributes);
	if (r < 0)
		return r;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	r = -pthread_create(&thread, &attributes, flight_thread, flight);
	pthread_attr_destroy(&attributes);
	return r;
}

/* A new flight that waits for the lock, or NULL. The context is the flight's only if it is made. */
static struct image_flight *start_locked(struct image_flights *flights, const char *key,
					 image_flight_work work, struct err *err)
{
	struct image_flight *flight;

	if (flights->threads >= THREADS_MAX) {
		err_set(err, ERR_OVERLOADED, "%d pulls are going on or wait: try again later",
			THREADS_MAX);
		return NULL;
	}
	flight = calloc(1, sizeof(*flight));
	if (flight) {
		flight->flights = flights;
		flight->key = strdup(key);
		flight->work = work;
		flight->result = -1;
		flight->queued = true;
		flight->ticket = ++flights->tickets;
	}
	if (!flight || !flight->key || thread_start(flight) < 0) {
		if (flight)
			flight_free(flight);
		err_sys(err, -ENOMEM, "cannot start a pull");
		return NULL;
	}
	flight->next = flights->first;
	flights->first = flight;
	flights->threads++;
	return flight;
}

/* The flight of the key, found or started; takes the context. NULL with *err. */
static struct image_flight *join_locked(struct image_flights *flights, const char *key,
					image_flight_work work, void *take_context,
					void (*release)(void *context), struct err *err)
{
	struct image_flight *flight = find_locked(flights, key);

	if (!flight) {
		flight = start_locked(flights, key, work, err);
		if (flight) {
			flight->context = take_context;
			flight->release = release;
			return flight;
		}
	}
	release(take_context);
	return flight;
}

/* Leaves the flight when it is done or the caller gives up; the last one out frees it. */
static int wait_locked(struct image_flight *flight, const volatile bool *cancelled, struct err *err)
{
	int result;

	while (!flight->done) {
		if (cancelled && __atomic_load_n(cancelled, __ATOMIC_RELAXED))
			break;
		wait_briefly_locked(flight->flights);
	}
	if (!flight->done) {
		give_up_locked(flight);
		return err_set(err, ERR_CANCELLED, "the pull was cancelled");
	}
	result = flight->result;
	*err = flight->err;
	if (--flight->waiting == 0)
		flight_free(flight);
	return result;
}

int image_flights_run(struct image_flights *flights, const char *key, image_flight_work work,
		      void *take_context, void (*release)(void *context),
		      const volatile bool *cancelled, struct err *err)
{
	struct image_flight *flight;
	int r = -1;

	pthread_mutex_lock(&flights->lock);
	flight = join_locked(flights, key, work, take_context, release, err);
	if (flight) {
		flight->waiting++;
		r = wait_locked(flight, cancelled, err);
	}
	pthread_mutex_unlock(&flights->lock);
	return r;
}

int image_flights_keep(struct image_flights *flights, const char *key, image_flight_work work,
		       void *take_context, void (*release)(void *context), struct err *err)
{
	struct image_flight *flight;

	pthread_mutex_lock(&flights->lock);
	flight = join_locked(flights, key, work, take_context, release, err);
	if (flight && !flight->kept) {
		flight->kept = true;
		flight->waiting++;
	}
	pthread_mutex_unlock(&flights->lock);
	return flight ? 0 : -1;
}

void image_flights_drop(struct image_flights *flights, const char *key)
{
	struct image_flight *flight, *next;

	pthread_mutex_lock(&flights->lock);
	for (flight = flights->first; flight; flight = next) {
		next = flight->next;
		if (!flight->kept || (key && strcmp(flight->key, key) != 0))
			continue;
		flight->kept = false;
		give_up_locked(flight);
	}
	pthread_mutex_unlock(&flights->lock);
}

unsigned image_flights_position(struct image_flights *flights, const char *key)
{
	const struct image_flight *flight;
	unsigned position = 0;

	pthread_mutex_lock(&flights->lock);
	flight = find_locked(flights, key);
	if (flight && flight->queued)
		position = position_locked(flight);
	pthread_mutex_unlock(&flights->lock);
	return position;
}
