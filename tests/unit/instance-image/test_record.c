/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_record_reads_as_it_was_written(void **state)
{
	static const char *const good[] = {
		"0 wanted",
		"1700000000000 wanted",
		"1700000000000 ready " DIGEST,
		"1700000000000 failed cannot find image 'a': no such image",
	};
	char text[IMAGE_RECORD_TEXT_MAX];
	struct image_record record;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(image_record_parse(good[i], &record), 0);
		image_record_format(&record, text);
		assert_string_equal(text, good[i]);
	}
	assert_int_equal(record.kind, IMAGE_RECORD_FAILED);
	assert_int_equal(record.created_ms, INT64_C(1700000000000));
}

static void what_makes_no_sense_is_no_record(void **state)
{
	static const char *const bad[] = {
		"",	     "wanted",	  "1",	       "1 wanted ", "1 wanted x",
		"1  wanted", " 1 wanted", "+1 wanted", "1 ready",   "1 ready x",
		"1 failed",  "1 failed ", "1 nothing", DIGEST,
	};
	struct image_record record;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(image_record_parse(bad[i], &record), -EINVAL);
}

static void count(void *user, const struct image_reference *reference,
		  const struct image_record *record)
{
	int *found = user;

	assert_string_equal(IMAGE_REFERENCE_STR(reference), "docker.io/library/busybox:latest");
	assert_int_equal(record->kind, IMAGE_RECORD_READY);
	++*found;
}

static void records_are_kept_by_reference_and_nonsense_is_removed(void **state)
{
	char refs[] = "/tmp/hypeman-refs-XXXXXX", path[128];
	struct image_record record = { .created_ms = 7, .kind = IMAGE_RECORD_WANTED };
	struct image_reference reference;
	struct err err;
	int found = 0;

	(void)state;
	assert_non_null(mkdtemp(refs));
	assert_int_equal(image_reference_parse("busybox", "image", &reference, &err), 0);
	assert_int_equal(image_record_save(refs, refs, &reference, &record), 0);
	record.kind = IMAGE_RECORD_READY;
	memcpy(record.digest.s, DIGEST, sizeof(DIGEST));
	assert_int_equal(image_record_save(refs, refs, &reference, &record), 0);
	snprintf(path, sizeof(path), "%s/docker.io+library+odd:latest", refs);
	assert_int_equal(symlink("nonsense", path), 0);
	image_record_load_all(refs, count, &found);
	assert_int_equal(found, 1);
	assert_int_equal(unlink(path), -1);
	assert_int_equal(image_record_remove(refs, &reference), 0);
	assert_int_equal(image_record_remove(refs, &reference), 0);
	assert_int_equal(rmdir(refs), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_reads_as_it_was_written),
		cmocka_unit_test(what_makes_no_sense_is_no_record),
		cmocka_unit_test(records_are_kept_by_reference_and_nonsense_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
