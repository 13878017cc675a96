/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/supervisor/shape.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static void a_rate_is_kept_over_time(void **state)
{
	struct shape_bucket bucket;
	uint64_t sent = 0;

	(void)state;
	shape_bucket_init(&bucket, 8000000, 0); /* 1000 bytes a millisecond */
	assert_int_equal(shape_bucket_look(&bucket, 0), 0);
	for (int64_t now = MS; now <= 1000 * MS; now += MS) {
		size_t may = shape_bucket_look(&bucket, now);

		shape_bucket_take(&bucket, may);
		sent += may;
	}
	assert_in_range(sent, 999000, 1000000);
}

static void a_pause_allows_no_more_than_a_burst(void **state)
{
	struct shape_bucket bucket;

	(void)state;
	shape_bucket_init(&bucket, 8000000, 0);
	assert_int_equal(shape_bucket_look(&bucket, 3600000 * MS), SHAPE_BUFFER_BYTES);
	assert_int_equal(bucket.bytes, SHAPE_BUFFER_BYTES); /* 50 ms would be less */
	shape_bucket_init(&bucket, UINT64_C(8000000000), 0);
	assert_int_equal(shape_bucket_look(&bucket, 3600000 * MS), SHAPE_BUFFER_BYTES);
	assert_int_equal(bucket.bytes, 50000000);
}

static void slow_rates_lose_nothing_to_rounding(void **state)
{
	struct shape_bucket bucket;
	uint64_t sent = 0;

	(void)state;
	shape_bucket_init(&bucket, 8000, 0); /* one byte a millisecond */
	for (int64_t now = 0; now <= 1000 * MS; now += MS / 10) {
		size_t may = shape_bucket_look(&bucket, now);

		shape_bucket_take(&bucket, may);
		sent += may;
	}
	assert_in_range(sent, 950, 1000);
}

static void no_rate_is_no_limit(void **state)
{
	struct shape_bucket bucket;

	(void)state;
	shape_bucket_init(&bucket, 0, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(shape_bucket_look(&bucket, 0), SHAPE_BUFFER_BYTES);
		shape_bucket_take(&bucket, SHAPE_BUFFER_BYTES);
	}
}

static int left[2], right[2];

static void *run_relay(void *argument)
{
	(void)argument;
	shape_relay(left[1], right[0], 4000000, 0);
	close(left[1]);
	close(right[0]);
	return NULL;
}

static void *feed(void *argument)
{
	static char bytes[250000];

	(void)argument;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31 >> 3);
	for (size_t at = 0; at < sizeof(bytes);)
		at += (size_t)write(left[0], bytes + at, sizeof(bytes) - at);
	return NULL;
}

static void bytes_come_through_whole_and_no_faster(void **state)
{
	static char bytes[250000];
	struct timespec began, ended;
	pthread_t relay, feeder;
	double seconds;
	char back;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, right), 0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	pthread_create(&relay, NULL, run_relay, NULL);
	pthread_create(&feeder, NULL, feed, NULL);
	for (size_t at = 0; at < sizeof(bytes);)
		at += (size_t)read(right[1], bytes + at, sizeof(bytes) - at);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], (char)(i * 31 >> 3));
	seconds = (double)(ended.tv_sec - began.tv_sec) + (ended.tv_nsec - began.tv_nsec) / 1e9;
	assert_true(seconds > 0.35); /* half a second, less a burst */
	assert_int_equal(write(right[1], "x", 1), 1);
	assert_int_equal(read(left[0], &back, 1), 1);
	pthread_join(feeder, NULL);
	close(left[0]);
	pthread_join(relay, NULL);
	assert_int_equal(read(right[1], &back, 1), 0);
	close(right[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_kept_over_time),
		cmocka_unit_test(a_pause_allows_no_more_than_a_burst),
		cmocka_unit_test(slow_rates_lose_nothing_to_rounding),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(bytes_come_through_whole_and_no_faster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
