/* SPDX-License-Identifier: Apache-2.0 */
#include "single_flight.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* What a fetch brought, shared by its readers. */
struct result {
	unsigned references; /* under the flight's lock */
	uint64_t number;     /* of the fetch */
	int r;
	struct text text;
	struct err err;
};

struct single_flight {
	single_flight_fetch fetch;
	void *user;
	pthread_mutex_t lock;
	pthread_cond_t landed;
	bool running;
	uint64_t started;    /* fetches begun so far */
	unsigned readers;    /* in single_flight_read() */
	struct result *last; /* while there are readers who may want it */
};

struct single_flight *single_flight_new(single_flight_fetch fetch, void *user)
{
	struct single_flight *flight = calloc(1, sizeof(*flight));
	pthread_condattr_t monotonic;

	if (!flight)
		return NULL;
	flight->fetch = fetch;
	flight->user = user;
	pthread_mutex_init(&flight->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&flight->landed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return flight;
}

void single_flight_free(struct single_flight *flight)
{
	if (!flight)
		return;
	pthread_cond_destroy(&flight->landed);
	pthread_mutex_destroy(&flight->lock);
	free(flight);
}

static void result_unref(struct result *result)
{
	if (!result || --result->references > 0)
		return;
	text_done(&result->text);
	free(result);
}

static struct timespec deadline_in(int timeout_ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += timeout_ms / 1000;
	at.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	return at;
}

static int left_ms(const struct timespec *deadline)
{
	struct timespec now;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = (deadline->tv_sec - now.tv_sec) * 1000LL +
	       (deadline->tv_nsec - now.tv_nsec) / 1000000;
	return left > 1 ? (int)left : 1;
}

/* Called and returns with the lock held; lets it go meanwhile. */
static void fetch_locked(struct single_flight *flight, const struct timespec *deadline)
{
	struct result *result = calloc(1, sizeof(*result));
	uint64_t number = ++flight->started;

	flight->running = true;
	pthread_mutex_unlock(&flight->lock);
	if (result) {
		result->references = 1;
		result->number = number;
		result->r =
			flight->fetch(flight->user, left_ms(deadline), &result->text, &result->err);
	}
	pthread_mutex_lock(&flight->lock);
	flight->running = false;
	result_unref(flight->last);
	flight->last = result;
	pthread_cond_broadcast(&flight->landed);
}

/* A result of a fetch with at least this number; NULL with *err. */
static struct result *wait_locked(struct single_flight *flight, uint64_t wanted,
				  const struct timespec *deadline, struct err *err)
{
	for (;;) {
		if (flight->last && flight->last->number >= wanted) {
			flight->last->references++;
			return flight->last;
		}
		if (!flight->running) {
			fetch_locked(flight, deadline);
			if (!flight->last) {
				err_sys(err, ENOMEM, "cannot read");
				return NULL;
			}
			continue;
		}
		if (pthread_cond_timedwait(&flight->landed, &flight->lock, deadline) == ETIMEDOUT) {
			err_set(err, ERR_UNAVAILABLE, "no answer in time");
			return NULL;
		}
	}
}

int single_flight_read(struct single_flight *flight, int timeout_ms, struct text *ret,
		       struct err *err)
{
	struct timespec deadline = deadline_in(timeout_ms);
	struct result *result;
	int r = -1;

	pthread_mutex_lock(&flight->lock);
	flight->readers++;
	result = wait_locked(flight, flight->started + 1, &deadline, err);
	if (--flight->readers == 0) {
		result_unref(flight->last);
		flight->last = NULL;
	}
	pthread_mutex_unlock(&flight->lock);
	if (!result)
		return -1;
	r = result->r;
	if (r == 0)
		text_append(ret, result->text.bytes, result->text.length);
	else
		*err = result->err;
	pthread_mutex_lock(&flight->lock);
	result_unref(result);
	pthread_mutex_unlock(&flight->lock);
	return r;
}
