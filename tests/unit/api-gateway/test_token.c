/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/token.h"
#include "token_sign.h"

#define NOW    1000000000
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define ALIVE  "\"exp\":1000000001"

static const uint8_t key[] = "0123456789abcdef0123456789abcdef";

static int check(const char *header, const char *claims, const char *scope,
		 struct token_subject *subject, struct err *err)
{
	scoped_text struct text token = { 0 };

	token_sign(header, claims, key, sizeof(key) - 1, &token);
	return token_check(token.bytes, key, sizeof(key) - 1, NOW, scope, subject, err);
}

static void a_good_token_names_its_subject(void **state)
{
	struct token_subject subject;
	struct err err;

	(void)state;
	assert_int_equal(check(HEADER, "{" ALIVE ",\"sub\":\"ci\"}", "a:read", &subject, &err), 0);
	assert_string_equal(subject.s, "ci");
	assert_int_equal(check("{\"alg\":\"HS256\"}", "{" ALIVE "}", NULL, &subject, &err), 0);
	assert_string_equal(subject.s, "");
	assert_int_equal(check(HEADER, "{" ALIVE ",\"nbf\":1000000000}", NULL, &subject, &err), 0);
}

static void what_is_not_good_now_is_unauthenticated(void **state)
{
	static const struct {
		const char *header, *claims, *why;
	} cases[] = {
		{ HEADER, "{}", "must have an exp" },
		{ HEADER, "{\"exp\":\"1000000001\"}", "must have an exp" },
		{ HEADER, "{\"exp\":null}", "must have an exp" },
		{ HEADER, "{\"EXP\":1000000001}", "must have an exp" },
		{ HEADER, "{\"exp\":1000000000}", "expired" },
		{ HEADER, "{\"exp\":-1}", "expired" },
		{ HEADER, "{" ALIVE ",\"nbf\":1000000001}", "not begun" },
		{ HEADER, "{" ALIVE ",\"nbf\":\"0\"}", "nbf" },
		{ HEADER, "{" ALIVE ",\"sub\":1}", "sub" },
		{ HEADER, "{" ALIVE ",\"permissions\":\"*\"}", "permissions" },
		{ HEADER, "{" ALIVE ",\"permissions\":[1]}", "permissions" },
		{ HEADER, "{" ALIVE ",\"permissions\":null}", "permissions" },
		{ HEADER, "{" ALIVE ",\"exp\":2000000000}", "JSON objects" },
		{ HEADER, "[" ALIVE "]", "JSON objects" },
		{ HEADER, "[]", "JSON objects" },
		{ HEADER, "{\"a\":[[[[[]]]]]," ALIVE "}", "JSON objects" },
		{ "{\"alg\":\"none\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"None\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"hs256\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"HS384\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"HS512\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"RS256\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"ES256\"}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":[\"HS256\"]}", "{" ALIVE "}", "HS256" },
		{ "{}", "{" ALIVE "}", "HS256" },
		{ "{\"alg\":\"HS256\",\"alg\":\"none\"}", "{" ALIVE "}", "JSON objects" },
		{ "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "{" ALIVE "}", "crit" },
	};
	struct token_subject subject;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!check(cases[i].header, cases[i].claims, NULL, &subject, &err))
			fail_msg("%s %s was accepted", cases[i].header, cases[i].claims);
		assert_int_equal(err.reason, ERR_UNAUTHENTICATED);
		if (!strstr(err.message, cases[i].why))
			fail_msg("%s %s: %s", cases[i].header, cases[i].claims, err.message);
	}
}

static void refuse(const char *token)
{
	struct token_subject subject;
	struct err err;

	if (!token_check(token, key, sizeof(key) - 1, NOW, NULL, &subject, &err))
		fail_msg("%s was accepted", token);
	assert_int_equal(err.reason, ERR_UNAUTHENTICATED);
}

static void what_was_touched_is_unauthenticated(void **state)
{
	static const char *const forms[] = {
		"",	 ".",	     "..",	    "...",   "a.b",
		"a.b.c", "e30.e30.", "e30.e30.e30", "=.=.=", "e30=.e30=.e30="
	};
	scoped_text struct text token = { 0 };
	scoped_text struct text longer = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		refuse(forms[i]);
	token_sign(HEADER, "{" ALIVE "}", key, sizeof(key) - 1, &token);
	text_append_string(&longer, token.bytes);
	text_append_string(&longer, ".");
	refuse(longer.bytes);
	for (size_t i = 0; i < token.length; i++) {
		char was = token.bytes[i];

		/* The last character's low bits are in no byte, but must be zero all the same. */
		for (const char *other = "Aa0_-+/= ."; *other; other++) {
			token.bytes[i] = *other;
			if (*other != was && i + 1 < token.length)
				refuse(token.bytes);
		}
		token.bytes[i] = was;
	}
	for (size_t length = 0; length < token.length; length++) {
		char was = token.bytes[length];

		token.bytes[length] = '\0';
		refuse(token.bytes);
		token.bytes[length] = was;
	}
}

static void nesting_is_refused_before_it_is_parsed(void **state)
{
	scoped_text struct text claims = { 0 };
	struct token_subject subject;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 2000; i++)
		text_append_string(&claims, "[");
	assert_int_equal(check(HEADER, claims.bytes, NULL, &subject, &err), -1);
	assert_int_equal(check(claims.bytes, "{" ALIVE "}", NULL, &subject, &err), -1);
	assert_int_equal(err.reason, ERR_UNAUTHENTICATED);
}

static void permissions_limit_what_a_token_is_good_for(void **state)
{
	static const struct {
		const char *list, *scope;
		bool granted;
	} cases[] = {
		{ "", "instance:read", false },
		{ "\"instance:read\"", "instance:read", true },
		{ "\"instance:read\"", "instance:write", false },
		{ "\"instance:read\"", "instances:read", false },
		{ "\"instance:rea\"", "instance:read", false },
		{ "\"instance:read \"", "instance:read", false },
		{ "\"instance\"", "instance:read", false },
		{ "\"instance:\"", "instance:read", false },
		{ "\"*\"", "instance:write", true },
		{ "\"instance:*\"", "instance:write", true },
		{ "\"instance:*\"", "image:read", false },
		{ "\"*:read\"", "image:read", true },
		{ "\"*:read\"", "image:write", false },
		{ "\"*:*\"", "image:write", true },
		{ "\"inst*:read\"", "instance:read", false },
		{ "\"INSTANCE:READ\"", "instance:read", false },
		{ "\"image:read\",\"instance:write\"", "instance:write", true },
	};
	struct token_subject subject;
	char claims[256];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(claims, sizeof(claims), "{" ALIVE ",\"permissions\":[%s]}", cases[i].list);
		if (check(HEADER, claims, cases[i].scope, &subject, &err) == 0) {
			if (!cases[i].granted)
				fail_msg("%s permits %s", cases[i].list, cases[i].scope);
			continue;
		}
		if (cases[i].granted)
			fail_msg("%s forbids %s", cases[i].list, cases[i].scope);
		assert_int_equal(err.reason, ERR_FORBIDDEN);
		assert_non_null(strstr(err.message, cases[i].scope));
		assert_int_equal(check(HEADER, claims, NULL, &subject, &err), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_token_names_its_subject),
		cmocka_unit_test(what_is_not_good_now_is_unauthenticated),
		cmocka_unit_test(what_was_touched_is_unauthenticated),
		cmocka_unit_test(nesting_is_refused_before_it_is_parsed),
		cmocka_unit_test(permissions_limit_what_a_token_is_good_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
