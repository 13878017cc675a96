/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FATAL "time=\"2026-01-01T00:00:00Z\" level=fatal msg=\""

static void what_tools_print_becomes_a_reason(void **state)
{
	static const struct {
		const char *printed;
		enum err_reason reason;
		const char *text;
	} known[] = {
		{ "Getting image source signatures\n" FATAL
		  "reading manifest x in \\\"y\\\": manifest unknown\"\n",
		  ERR_NOT_FOUND, "no such image (reading manifest x in \"y\": manifest unknown)" },
		{ FATAL "pinging container registry h: dial tcp: connection refused\"",
		  ERR_UNAVAILABLE,
		  "the registry cannot be reached (pinging container registry h: dial tcp: connection refused)" },
		{ FATAL "Manifest does not match provided manifest digest sha256:0\"",
		  ERR_FAILED_PRECONDITION,
		  "digest mismatch (Manifest does not match provided manifest digest sha256:0)" },
		{ FATAL "reading blob: unauthorized\"", ERR_FAILED_PRECONDITION,
		  "no such image, or the registry wants other credentials (reading blob: unauthorized)" },
		{ "write /work/x: no space left on device\n\n", ERR_INSUFFICIENT_CAPACITY,
		  "the disk is full (write /work/x: no space left on device)" },
		{ "connection refused, tried again\n   something\tnew\x1b\n", ERR_INTERNAL,
		  "something new " },
		{ "", ERR_INTERNAL, "" },
		{ "\n \n", ERR_INTERNAL, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct image_failure failure = image_failure_read(known[i].printed);

		assert_string_equal(failure.text, known[i].text);
		assert_int_equal(failure.reason, known[i].reason);
	}
}

static void long_lines_are_cut(void **state)
{
	char printed[5000];

	(void)state;
	memset(printed, 'x', sizeof(printed));
	printed[sizeof(printed) - 1] = '\0';
	assert_true(strlen(image_failure_read(printed).text) < sizeof(struct image_failure));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_tools_print_becomes_a_reason),
		cmocka_unit_test(long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
