/* SPDX-License-Identifier: Apache-2.0 */
#include "single_flight.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "common/futex.h"

enum round_state {
	ROUND_GATHERS, /* another round's fetch is running */
	ROUND_TO_LEAD, /* it is this round's turn: one of its readers must fetch */
	ROUND_FETCHES,
	ROUND_LANDED, /* the result does not change any more */
};

/* The readers that one fetch answers. The last of them frees it. */
struct round {
	atomic_int state;
	atomic_uint readers;
	int r;
	struct text text;
	struct err err;
};

/*
 * The lock is held only to come and go, not when a round has landed: those who are woken at
 * once do not queue up for it.
 */
struct single_flight {
	single_flight_fetch fetch;
	void *user;
	pthread_mutex_t lock;
	bool running;	    /* a round is fetching, or is about to */
	struct round *next; /* whose fetch has not begun: new readers join it. May be NULL */
};

struct single_flight *single_flight_new(single_flight_fetch fetch, void *user)
{
	struct single_flight *flight = calloc(1, sizeof(*flight));

	if (!flight)
		return NULL;
	flight->fetch = fetch;
	flight->user = user;
	pthread_mutex_init(&flight->lock, NULL);
	return flight;
}

void single_flight_free(struct single_flight *flight)
{
	if (!flight)
		return;
	pthread_mutex_destroy(&flight->lock);
	free(flight);
}

static void round_leave(struct round *round)
{
	if (atomic_fetch_sub(&round->readers, 1) > 1)
		return;
	text_done(&round->text);
	free(round);
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

/* The round of a reader that comes now; NULL without memory. */
static struct round *join(struct single_flight *flight)
{
	struct round *round;

	pthread_mutex_lock(&flight->lock);
	if (!flight->next)
		flight->next = calloc(1, sizeof(*flight->next));
	round = flight->next;
	if (round) {
		atomic_fetch_add(&round->readers, 1);
		if (!flight->running)
			atomic_store(&round->state, ROUND_TO_LEAD);
		flight->running = true;
	}
	pthread_mutex_unlock(&flight->lock);
	return round;
}

/* Whether it is on the caller to fetch. From then on new readers join another round. */
static bool take_lead(struct single_flight *flight, struct round *round)
{
	bool leads;

	pthread_mutex_lock(&flight->lock);
	leads = atomic_load(&round->state) == ROUND_TO_LEAD;
	if (leads) {
		atomic_store(&round->state, ROUND_FETCHES);
		flight->next = NULL;
	}
	pthread_mutex_unlock(&flight->lock);
	return leads;
}

/* The next round's turn, after this one's readers have been woken: they make room for it. */
static void hand_over(struct single_flight *flight)
{
	pthread_mutex_lock(&flight->lock);
	flight->running = flight->next != NULL;
	if (flight->next) {
		atomic_store(&flight->next->state, ROUND_TO_LEAD);
		futex_wake(&flight->next->state, 1);
	}
	pthread_mutex_unlock(&flight->lock);
}

static void lead(struct single_flight *flight, struct round *round, const struct timespec *deadline)
{
	round->r = flight->fetch(flight->user, left_ms(deadline), &round->text, &round->err);
	atomic_store(&round->state, ROUND_LANDED);
	if (atomic_load(&round->readers) > 1)
		futex_wake(&round->state, INT_MAX);
	hand_over(flight);
}

/*
 * Leaves a round that does not land in time: true, unless that it was its turn meanwhile, or that
 * it landed. Nobody who is left in a round misses that it must lead.
 */
static bool give_up(struct single_flight *flight, struct round *round)
{
	int state;

	pthread_mutex_lock(&flight->lock);
	state = atomic_load(&round->state);
	if (state == ROUND_GATHERS && atomic_load(&round->readers) == 1)
		flight->next = NULL;
	if (state == ROUND_GATHERS || state == ROUND_FETCHES)
		round_leave(round);
	pthread_mutex_unlock(&flight->lock);
	return state == ROUND_GATHERS || state == ROUND_FETCHES;
}

/* 0 when the round has landed; -1 when the deadline is over and the round was left. */
static int wait_for(struct single_flight *flight, struct round *round,
		    const struct timespec *deadline)
{
	for (;;) {
		int state = atomic_load(&round->state);

		if (state == ROUND_LANDED)
			return 0;
		if (state == ROUND_TO_LEAD && take_lead(flight, round))
			lead(flight, round, deadline);
		else if (futex_wait(&round->state, state, deadline) == -ETIMEDOUT &&
			 give_up(flight, round))
			return -1;
	}
}

int single_flight_read(struct single_flight *flight, int timeout_ms, struct text *ret,
		       struct err *err)
{
	struct timespec deadline = deadline_in(timeout_ms);
	struct round *round = join(flight);
	int r;

	if (!round)
		return err_sys(err, ENOMEM, "cannot read");
	if (wait_for(flight, round, &deadline))
		return err_set(err, ERR_UNAVAILABLE, "no answer in time");
	r = round->r;
	if (r == 0)
		text_append(ret, round->text.bytes, round->text.length);
	else
		*err = round->err;
	round_leave(round);
	return r;
}
