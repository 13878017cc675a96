/* SPDX-License-Identifier: Apache-2.0 */
/* What the check lets through and what not, byte by byte; and UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rpc/utf8.h"
#include "common/rpc/wire_check.h"

#include "echo.pb-c.h"

#define TYPE (&hypeman__test__v1__echo_request__descriptor)

struct wire_case {
	const char *bytes;
	size_t size;
	const char *why; /* NULL: taken */
};

#define BYTES(text) text, sizeof(text) - 1

static const struct wire_case cases[] = {
	{ BYTES(""), NULL },
	{ BYTES("\x0a\x02hi"), NULL },
	{ BYTES("\x18\x05"), NULL },
	{ BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL }, /* ten bytes: -1 */
	{ BYTES("\x12\x03\x00\xff\xfe"), NULL }, /* bytes may hold anything */
	{ BYTES("\xa1\x06"
		"12345678"),
	  NULL }, /* an unknown field, fixed64 */
	{ BYTES("\xa5\x06"
		"1234"),
	  NULL },
	{ BYTES("\xa2\x06\x02\xff\xff"), NULL }, /* unknown, so no text */
	{ BYTES("\x32\x06\x0a\x01"
		"a\x12\x01"
		"b"),
	  NULL }, /* a map's entry */
	{ BYTES("\x0a\x05hi"), "EchoRequest.text: the message ends inside a field" },
	{ BYTES("\x0a"), "EchoRequest.text: the message ends inside a field" },
	{ BYTES("\x18"), "EchoRequest.delay_ms: the message ends inside a field" },
	{ BYTES("\x18\x80"), "EchoRequest.delay_ms: the message ends inside a field" },
	{ BYTES("\xa1\x06"
		"1234567"),
	  "EchoRequest: the message ends inside a field" },
	{ BYTES("\xa5\x06"
		"123"),
	  "EchoRequest: the message ends inside a field" },
	{ BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	  "EchoRequest.delay_ms: the message ends inside a field" }, /* eleven bytes */
	{ BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi"),
	  "EchoRequest.text: the message ends inside a field" },
	{ BYTES("\x02\x00"), "bad field number" }, /* number 0 */
	{ BYTES("\xf8\xff\xff\xff\xff\x01\x00"), "bad field number" },
	{ BYTES("\x80"), "bad field number" },
	{ BYTES("\x0b\x0c"), "EchoRequest.text: groups are not supported" },
	{ BYTES("\x0e"), "EchoRequest.text: groups are not supported" },
	{ BYTES("\x0a\x01\xff"), "EchoRequest.text: text must be UTF-8" },
	{ BYTES("\x0a\x01\x00"), "EchoRequest.text: text must be UTF-8" },
	{ BYTES("\x32\x06\x0a\x01\xff\x12\x01"
		"b"),
	  "LabelsEntry.key: text must be UTF-8" },
	{ BYTES("\x3a\x00\x3a\x00"), "EchoRequest.node: comes more than once" },
	{ BYTES("\x3a\x00\x42\x00\x42\x00"), NULL },	     /* node once, nodes twice */
	{ BYTES("\x42\x02\x0a\x00\x42\x02\x0a\x00"), NULL }, /* one child in each */
	{ BYTES("\x3a\x04\x0a\x00\x0a\x00"), "Node.child: comes more than once" },
	{ BYTES("\x0a\x01"
		"a\x0a\x01"
		"b"),
	  NULL }, /* the last text counts */
	{ BYTES("\x3a\x04\x0a\x02\x12\x05"), "Node.name: the message ends inside a field" },
};

static void each_form_is_taken_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* A copy of the very size, so that a sanitizer sees each step beyond. */
		uint8_t *copy = malloc(cases[i].size + !cases[i].size);
		struct err err = { 0 };
		int r;

		memcpy(copy, cases[i].bytes, cases[i].size);
		r = wire_check(TYPE, copy, cases[i].size, &err);
		free(copy);
		assert_int_equal(r, cases[i].why ? -1 : 0);
		if (cases[i].why && !strstr(err.message, cases[i].why))
			fail_msg("case %zu: '%s' does not contain '%s'", i, err.message,
				 cases[i].why);
	}
}

/* Packs `levels` nested Nodes in a request. The caller frees it. */
static uint8_t *nest(unsigned levels, size_t *ret_size)
{
	Hypeman__Test__V1__EchoRequest request = HYPEMAN__TEST__V1__ECHO_REQUEST__INIT;
	Hypeman__Test__V1__Node *nodes = calloc(levels, sizeof(*nodes));
	uint8_t *packed;

	for (unsigned i = 0; i < levels; i++) {
		hypeman__test__v1__node__init(&nodes[i]);
		nodes[i].child = i + 1 < levels ? &nodes[i + 1] : NULL;
	}
	request.node = nodes;
	*ret_size = hypeman__test__v1__echo_request__get_packed_size(&request);
	packed = malloc(*ret_size);
	hypeman__test__v1__echo_request__pack(&request, packed);
	free(nodes);
	return packed;
}

static void depth_ends_at_the_limit(void **state)
{
	struct err err;
	size_t size;
	uint8_t *packed = nest(WIRE_DEPTH_MAX - 1, &size);

	(void)state;
	assert_int_equal(wire_check(TYPE, packed, size, &err), 0); /* with the request: 64 */
	free(packed);
	packed = nest(WIRE_DEPTH_MAX, &size);
	assert_int_equal(wire_check(TYPE, packed, size, &err), -1);
	assert_non_null(strstr(err.message, "Node.child: messages are nested deeper than 64"));
	free(packed);
}

static void depth_counts_levels_and_not_messages(void **state)
{
	uint8_t flat[2 * 1000];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(flat); i += 2)
		memcpy(flat + i, "\x42\x00", 2); /* a thousand empty Nodes, side by side */
	assert_int_equal(wire_check(TYPE, flat, sizeof(flat), &err), 0);
}

static void elements_end_at_the_limit(void **state)
{
	const size_t count = WIRE_ELEMENTS_MAX + 1;
	uint8_t *flat = malloc(2 * count);
	struct err err;

	(void)state;
	for (size_t i = 0; i < count; i++)
		memcpy(flat + 2 * i, "\x42\x00", 2);
	assert_int_equal(wire_check(TYPE, flat, 2 * (count - 1), &err), 0);
	assert_int_equal(wire_check(TYPE, flat, 2 * count, &err), -1);
	assert_non_null(strstr(err.message, "more than 65536 elements"));
	free(flat);
}

static void utf8_is_what_the_rfc_says(void **state)
{
	static const struct {
		const char *text;
		size_t size, valid;
	} texts[] = {
		{ BYTES("abc"), 3 },
		{ BYTES("\x7f\xc2\x80\xdf\xbf"), 5 },
		{ BYTES("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"), 12 },
		{ BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), 8 },
		{ BYTES("a\0b"), 1 },
		{ BYTES("\x80"), 0 },
		{ BYTES("\xc0\x80"), 0 }, /* overlong NUL */
		{ BYTES("\xc1\xbf"), 0 },
		{ BYTES("\xe0\x9f\xbf"), 0 },
		{ BYTES("\xed\xa0\x80"), 0 }, /* a surrogate */
		{ BYTES("\xf0\x8f\xbf\xbf"), 0 },
		{ BYTES("\xf4\x90\x80\x80"), 0 }, /* U+110000 */
		{ BYTES("\xf5\x80\x80\x80"), 0 },
		{ BYTES("ok\xc3"), 2 },
		{ BYTES("ok\xe2\x82"), 2 },
		{ BYTES("ok\xe2\x28\xa1"), 2 },
		{ BYTES("ok\xf0\x90\x80"
			"a"),
		  2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(utf8_valid_length(texts[i].text, texts[i].size), texts[i].valid);
}

static void repair_replaces_only_what_is_broken(void **state)
{
	char text[] = "gr\xc3\xbc\xff\xc3\xa4\xe2\x82";
	char fine[] = "fine";
	char empty[] = "";

	(void)state;
	utf8_repair(text);
	assert_string_equal(text, "gr\xc3\xbc?\xc3\xa4??");
	utf8_repair(fine);
	assert_string_equal(fine, "fine");
	utf8_repair(empty);
	assert_string_equal(empty, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_taken_or_refused),
		cmocka_unit_test(depth_ends_at_the_limit),
		cmocka_unit_test(depth_counts_levels_and_not_messages),
		cmocka_unit_test(elements_end_at_the_limit),
		cmocka_unit_test(utf8_is_what_the_rfc_says),
		cmocka_unit_test(repair_replaces_only_what_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
