/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

/* Work that a test holds and lets go. */
struct job {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int running, most_running, runs, released;
	bool go, saw_abandoned;
};

static struct job job;
static struct image_flights flights;

static void setup(unsigned limit)
{
	job = (struct job){ .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER };
	assert_int_equal(image_flights_init(&flights, limit), 0);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static int work(void *context, const volatile bool *abandoned, struct err *err)
{
	(void)context;
	pthread_mutex_lock(&job.lock);
	job.runs++;
	job.running++;
	if (job.running > job.most_running)
		job.most_running = job.running;
	while (!job.go && !__atomic_load_n(abandoned, __ATOMIC_RELAXED)) {
		pthread_mutex_unlock(&job.lock);
		sleep_ms(1);
		pthread_mutex_lock(&job.lock);
	}
	job.running--;
	job.saw_abandoned |= !job.go;
	pthread_mutex_unlock(&job.lock);
	return err_set(err, ERR_NOT_FOUND, "worked");
}

static void release(void *context)
{
	(void)context;
	pthread_mutex_lock(&job.lock);
	job.released++;
	pthread_mutex_unlock(&job.lock);
}

struct caller {
	pthread_t thread;
	const char *key;
	volatile bool cancelled;
	int result;
	struct err err;
};

static void *call(void *argument)
{
	struct caller *caller = argument;

	caller->result = image_flights_run(&flights, caller->key, work, &job, release,
					   &caller->cancelled, &caller->err);
	return NULL;
}

static void start(struct caller *caller, const char *key)
{
	*caller = (struct caller){ .key = key };
	assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static int read_locked(const int *value)
{
	int copy;

	pthread_mutex_lock(&job.lock);
	copy = *value;
	pthread_mutex_unlock(&job.lock);
	return copy;
}

static void wait_for(const int *value, int wanted)
{
	for (int i = 0; i < 5000 && read_locked(value) != wanted; i++)
		sleep_ms(1);
	assert_int_equal(read_locked(value), wanted);
}

static void let_go(void)
{
	pthread_mutex_lock(&job.lock);
	job.go = true;
	pthread_mutex_unlock(&job.lock);
}

static void callers_of_one_key_share_the_work_and_its_answer(void **state)
{
	struct caller callers[4];

	(void)state;
	setup(2);
	for (int i = 0; i < 4; i++)
		start(&callers[i], "a");
	wait_for(&job.released, 3); /* the three that joined gave their contexts back */
	let_go();
	for (int i = 0; i < 4; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].result, -1);
		assert_int_equal(callers[i].err.reason, ERR_NOT_FOUND);
		assert_string_equal(callers[i].err.message, "worked");
	}
	image_flights_done(&flights);
	assert_int_equal(job.runs, 1);
	assert_int_equal(job.released, 4);
	assert_false(job.saw_abandoned);
}

static void the_limit_holds(void **state)
{
	static const char *const keys[] = { "a", "b", "c", "d", "e" };
	struct caller callers[5];

	(void)state;
	setup(2);
	for (int i = 0; i < 5; i++)
		start(&callers[i], keys[i]);
	wait_for(&job.running, 2);
	sleep_ms(50);
	let_go();
	for (int i = 0; i < 5; i++)
		pthread_join(callers[i].thread, NULL);
	image_flights_done(&flights);
	assert_int_equal(job.runs, 5);
	assert_true(job.most_running <= 2);
}

static void one_that_gives_up_does_not_stop_the_others(void **state)
{
	struct caller first, second;

	(void)state;
	setup(2);
	start(&first, "a");
	wait_for(&job.running, 1);
	start(&second, "a");
	wait_for(&job.released, 1); /* it joined */
	__atomic_store_n(&first.cancelled, true, __ATOMIC_RELAXED);
	pthread_join(first.thread, NULL);
	assert_int_equal(first.err.reason, ERR_CANCELLED);
	let_go();
	pthread_join(second.thread, NULL);
	assert_int_equal(second.err.reason, ERR_NOT_FOUND);
	image_flights_done(&flights);
	assert_false(job.saw_abandoned);
	assert_int_equal(job.runs, 1);
}

static void the_last_to_give_up_ends_the_work(void **state)
{
	struct caller first, waiting;

	(void)state;
	setup(1);
	start(&first, "a");
	wait_for(&job.running, 1);
	start(&waiting, "b"); /* never gets past the limit */
	sleep_ms(20);
	__atomic_store_n(&waiting.cancelled, true, __ATOMIC_RELAXED);
	pthread_join(waiting.thread, NULL);
	__atomic_store_n(&first.cancelled, true, __ATOMIC_RELAXED);
	pthread_join(first.thread, NULL);
	image_flights_done(&flights);
	assert_true(job.saw_abandoned);
	assert_int_equal(job.runs, 1);
	assert_int_equal(job.released, 2);
}

static void those_that_wait_are_served_in_their_order(void **state)
{
	struct caller callers[3];
	static const char *const keys[] = { "a", "b", "c" };

	(void)state;
	setup(1);
	for (int i = 0; i < 3; i++) {
		start(&callers[i], keys[i]);
		for (int tries = 0; tries < 5000; tries++) {
			if (i == 0 ? read_locked(&job.running) == 1
				   : image_flights_position(&flights, keys[i]) == (unsigned)i)
				break;
			sleep_ms(1);
		}
	}
	assert_int_equal(image_flights_position(&flights, "a"), 0);
	assert_int_equal(image_flights_position(&flights, "b"), 1);
	assert_int_equal(image_flights_position(&flights, "c"), 2);
	assert_int_equal(image_flights_position(&flights, "d"), 0);
	__atomic_store_n(&callers[1].cancelled, true, __ATOMIC_RELAXED);
	pthread_join(callers[1].thread, NULL);
	assert_int_equal(image_flights_position(&flights, "c"), 1);
	let_go();
	pthread_join(callers[0].thread, NULL);
	pthread_join(callers[2].thread, NULL);
	image_flights_done(&flights);
}

static void kept_work_goes_on_without_a_caller_until_it_is_dropped(void **state)
{
	struct caller caller;
	struct err err;

	(void)state;
	setup(2);
	assert_int_equal(image_flights_keep(&flights, "a", work, &job, release, &err), 0);
	assert_int_equal(image_flights_keep(&flights, "a", work, &job, release, &err), 0);
	wait_for(&job.running, 1);
	start(&caller, "a");
	wait_for(&job.released, 2);
	__atomic_store_n(&caller.cancelled, true, __ATOMIC_RELAXED);
	pthread_join(caller.thread, NULL);
	sleep_ms(20);
	assert_int_equal(read_locked(&job.running), 1);
	image_flights_drop(&flights, "b"); /* another's key changes nothing */
	image_flights_drop(&flights, "a");
	image_flights_done(&flights);
	assert_true(job.saw_abandoned);
	assert_int_equal(job.runs, 1);
	assert_int_equal(job.released, 3);
}

static void work_that_is_kept_ends_by_itself(void **state)
{
	struct err err;

	(void)state;
	setup(2);
	assert_int_equal(image_flights_keep(&flights, "a", work, &job, release, &err), 0);
	let_go();
	image_flights_done(&flights);
	assert_false(job.saw_abandoned);
	assert_int_equal(job.released, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(callers_of_one_key_share_the_work_and_its_answer),
		cmocka_unit_test(the_limit_holds),
		cmocka_unit_test(one_that_gives_up_does_not_stop_the_others),
		cmocka_unit_test(the_last_to_give_up_ends_the_work),
		cmocka_unit_test(those_that_wait_are_served_in_their_order),
		cmocka_unit_test(kept_work_goes_on_without_a_caller_until_it_is_dropped),
		cmocka_unit_test(work_that_is_kept_ends_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
