/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DATE " 2026-11-22 11:54:55 "

static int add(uint64_t max, const char *line, uint64_t *ret_bytes, struct err *err)
{
	struct image_listing listing = { .bytes_max = max };
	int r = image_listing_add(&listing, line, err);

	*ret_bytes = listing.bytes;
	return r;
}

static void lines_of_tar_are_added_up(void **state)
{
	static const struct {
		const char *line;
		uint64_t bytes;
	} good[] = {
		{ "drwxr-xr-x 0/0               0" DATE "a/", 4096 },
		{ "-rwsr-xr-x 0/0           10000" DATE "bin/su", 14096 },
		{ "-rw-r--r-- 65535/65535       1" DATE "a file with -> an arrow", 4097 },
		{ "lrwxrwxrwx 0/0               0" DATE "etc/mtab -> ../proc/self/mounts", 4096 },
		{ "hrw-r--r-- 0/0               0" DATE "d/h link to a/file", 4096 },
		{ "crw-rw-rw- 0/0             1,3" DATE "dev/null", 4096 },
		{ "-rw-r--r-- 0/0               0" DATE "..a/b../...", 4096 },
		{ "-rw-r--r-- 0/0               0" DATE "/absolute", 4096 },
	};
	uint64_t bytes;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(add(1 << 20, good[i].line, &bytes, &err), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
}

static void what_harms_is_refused_with_its_reason(void **state)
{
	static const char *const bad[][2] = {
		{ "-rw-r--r-- 0/0 1" DATE "../etc/passwd", "'../etc/passwd', which leaves" },
		{ "-rw-r--r-- 0/0 1" DATE "a/../../b", "leaves the image" },
		{ "drwxr-xr-x 0/0 0" DATE "..", "leaves the image" },
		{ "drwxr-xr-x 0/0 0" DATE "a/..", "leaves the image" },
		{ "lrwxrwxrwx 0/0 0" DATE "../l -> x", "leaves the image" },
		{ "hrw-r--r-- 0/0 0" DATE "h link to ../../etc/shadow",
		  "a link to '../../etc/shadow'" },
		{ "hrw-r--r-- 0/0 0" DATE "../h link to x", "'../h', which leaves" },
		{ "-rw-r--r-- 65536/0 1" DATE "a", "belongs to 65536:0" },
		{ "-rw-r--r-- 0/70000 1" DATE "a", "ids up to 65535" },
		{ "-rw-r--r-- 0/0 x" DATE "a", "cannot be listed" },
		{ "-rw-r--r-- 0/0 1 2026-11-22", "cannot be listed" },
		{ "tar: what", "cannot be listed" },
		{ "", "cannot be listed" },
	};
	uint64_t bytes;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(add(1 << 20, bad[i][0], &bytes, &err), -1);
		assert_int_equal(err.reason, ERR_FAILED_PRECONDITION);
		assert_non_null(strstr(err.message, bad[i][1]));
	}
}

static void the_limit_is_met_exactly(void **state)
{
	uint64_t bytes;
	struct err err;

	(void)state;
	assert_int_equal(add(10000, "-rw-r--r-- 0/0 5904" DATE "a", &bytes, &err), 0);
	assert_int_equal(bytes, 10000);
	assert_int_equal(add(10000, "-rw-r--r-- 0/0 5905" DATE "a", &bytes, &err), -1);
	assert_non_null(strstr(err.message, "more than 10000B when unpacked"));
	assert_int_equal(add(10000, "-rw-r--r-- 0/0 9999999999999999999" DATE "a", &bytes, &err),
			 -1);
	assert_int_equal(add(4095, "drwxr-xr-x 0/0 0" DATE "a", &bytes, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_tar_are_added_up),
		cmocka_unit_test(what_harms_is_refused_with_its_reason),
		cmocka_unit_test(the_limit_is_met_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
