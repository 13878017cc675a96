/* SPDX-License-Identifier: Apache-2.0 */
#include "instance-svc/image_digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void known_messages_have_their_digests(void **state)
{
	static const struct {
		const char *message, *digest;
	} known[] = {
		{ "", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
		  "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		/* 56 bytes: the length no longer fits the block. */
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_string_equal(image_digest_of(known[i].message, strlen(known[i].message)).s,
				    known[i].digest);
}

static void a_million_bytes_too(void **state)
{
	char *text = malloc(1000000);

	(void)state;
	memset(text, 'a', 1000000);
	assert_string_equal(
		image_digest_of(text, 1000000).s,
		"sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(text);
}

static void only_whole_lower_case_digests_are_valid(void **state)
{
#define HEX63 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"
	static const char *const refused[] = {
		"",
		"sha256:",
		"sha256:" HEX63,
		"sha256:" HEX63 "dd",
		"sha256:" HEX63 "D",
		"sha512:" HEX63 "d",
		HEX63 "d",
		"sha256:" HEX63 "/",
		"sha256:" HEX63 "d\n",
	};

	(void)state;
	assert_true(image_digest_is_valid("sha256:" HEX63 "d"));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(image_digest_is_valid(refused[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_messages_have_their_digests),
		cmocka_unit_test(a_million_bytes_too),
		cmocka_unit_test(only_whole_lower_case_digests_are_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
