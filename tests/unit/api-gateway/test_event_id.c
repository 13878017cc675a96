/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/event_id.h"

static void an_id_reads_back(void **state)
{
	static const char *const ids[] = { "0019aab-000012.00000000000000ff", "a_B-9.-", "-.-",
					   "-.0123456789abcdef" };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		scoped_text struct text text = { 0 };
		struct event_id id;

		assert_int_equal(event_id_parse(ids[i], &id), 0);
		event_id_append(&id, &text);
		assert_string_equal(text.bytes, ids[i]);
	}
}

static void anything_else_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"a",
		"a.",
		".-",
		"a.--",
		"a.0123",
		"a.0123456789abcdeF",
		"a.0123456789abcdef0",
		"a.0123456789abcdef ",
		"a b.-",
		"a\n.-",
		"a/b.-",
		/* 64 characters are one too many */
		"0123456789012345678901234567890123456789012345678901234567890123.-",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct event_id id = { .instance = "kept", .gpu = 7 };

		assert_true(event_id_parse(bad[i], &id) < 0);
		assert_string_equal(id.instance, "kept");
		assert_int_equal(id.gpu, 7);
	}
}

static void fingerprints_are_fnv_1a(void **state)
{
	(void)state;
	assert_true(event_id_fingerprint((const uint8_t *)"", 0) == 0xcbf29ce484222325);
	assert_true(event_id_fingerprint((const uint8_t *)"foobar", 6) == 0x85944171f73967e8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_reads_back),
		cmocka_unit_test(anything_else_is_none),
		cmocka_unit_test(fingerprints_are_fnv_1a),
	};

	return cmocka_run_group_tests_name("event_id", tests, NULL, NULL);
}
