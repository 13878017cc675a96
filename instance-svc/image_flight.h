/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that several callers want once. The first caller of a key starts a thread, later
 * ones join it, and each waits until it is done or its own caller gives up. When the last
 * one gave up the work is told so. At most so many keys are worked on at a time; the others
 * wait in the order in which they came.
 *
 * Work can also be kept: then it goes on without a caller that waits, until it is dropped.
 */

#ifndef INSTANCE_SVC_IMAGE_FLIGHT_H
#define INSTANCE_SVC_IMAGE_FLIGHT_H

#include <pthread.h>
#include <stdbool.h>

#include "common/err.h"

struct image_flight;

struct image_flights {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct image_flight *first; /* those that can be joined; locked */
	unsigned limit;
	unsigned working;	    /* flights past the limit's gate; locked */
	unsigned long long tickets; /* given out so far; locked */
	unsigned threads;	    /* locked */
};

/* 0 or -1 with *err. *abandoned becomes true when nobody waits any more. */
typedef int (*image_flight_work)(void *context, const volatile bool *abandoned, struct err *err);

int image_flights_init(struct image_flights *flights, unsigned limit);

/* Waits until the last thread is gone. */
void image_flights_done(struct image_flights *flights);

/*
 * take_context is given to release() when the work is over, or at once when another caller's
 * flight was joined; release() may not use these flights. Returns what the work did, or
 * ERR_CANCELLED.
 */
int image_flights_run(struct image_flights *flights, const char *key, image_flight_work work,
		      void *take_context, void (*release)(void *context),
		      const volatile bool *cancelled, struct err *err);

/* The same without waiting: the flight is kept until it is done or dropped. */
int image_flights_keep(struct image_flights *flights, const char *key, image_flight_work work,
		       void *take_context, void (*release)(void *context), struct err *err);

/* Whoever kept it gives up; nothing when it is not kept. NULL: all of them. */
void image_flights_drop(struct image_flights *flights, const char *key);

/* 1: the next to be worked on. 0: it is worked on, or there is none. */
unsigned image_flights_position(struct image_flights *flights, const char *key);

#endif
