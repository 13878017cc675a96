/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/url.h"

/* The segments in brackets: "[instances][vm-1]". */
static void join(const struct url_path *path, char *to, size_t size)
{
	to[0] = '\0';
	for (size_t i = 0; i < path->count; i++) {
		strncat(to, "[", size - strlen(to) - 1);
		strncat(to, path->segments[i], size - strlen(to) - 1);
		strncat(to, "]", size - strlen(to) - 1);
	}
}

static void paths_are_split_before_they_are_decoded(void **state)
{
	static const struct {
		const char *path, *segments;
	} cases[] = {
		{ "/", "[]" },
		{ "/health", "[health]" },
		{ "/%68ealth", "[health]" },
		{ "/instances/", "[instances][]" },
		{ "//instances", "[][instances]" },
		{ "/instances/vm-1/logs", "[instances][vm-1][logs]" },
		{ "/images/docker.io%2Flibrary%2fnginx%3a1",
		  "[images][docker.io/library/nginx:1]" },
		{ "/a+b", "[a+b]" },
		{ "/%252e%252e", "[%2e%2e]" },
		{ "/...", "[...]" },
		{ "/..a", "[..a]" },
		{ "/%C3%A9", "[\xc3\xa9]" },
		{ "/a/b/c/d/e/f/g/h", "[a][b][c][d][e][f][g][h]" },
	};
	char joined[256];
	struct url_path path;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (url_path_parse(cases[i].path, &path, &err))
			fail_msg("%s: %s", cases[i].path, err.message);
		join(&path, joined, sizeof(joined));
		assert_string_equal(joined, cases[i].segments);
	}
}

static void bad_paths_are_refused(void **state)
{
	static const struct {
		const char *path;
		enum err_reason reason;
		const char *word;
	} cases[] = {
		{ "", ERR_INVALID_ARGUMENT, "start with '/'" },
		{ "health", ERR_INVALID_ARGUMENT, "start with '/'" },
		{ "*", ERR_INVALID_ARGUMENT, "start with '/'" },
		{ "http://localhost/", ERR_INVALID_ARGUMENT, "start with '/'" },
		{ "/.", ERR_INVALID_ARGUMENT, "'.'" },
		{ "/..", ERR_INVALID_ARGUMENT, "'..'" },
		{ "/a/../b", ERR_INVALID_ARGUMENT, "'..'" },
		{ "/a/%2e%2E/b", ERR_INVALID_ARGUMENT, "'..'" },
		{ "/a/.%2e", ERR_INVALID_ARGUMENT, "'..'" },
		{ "/%", ERR_INVALID_ARGUMENT, "segment %" },
		{ "/%4", ERR_INVALID_ARGUMENT, "segment %4" },
		{ "/%4/1", ERR_INVALID_ARGUMENT, "segment %4" },
		{ "/%g1", ERR_INVALID_ARGUMENT, "%g1" },
		{ "/%1g", ERR_INVALID_ARGUMENT, "%1g" },
		{ "/%+1", ERR_INVALID_ARGUMENT, "%+1" },
		{ "/%00", ERR_INVALID_ARGUMENT, "control" },
		{ "/a%0a", ERR_INVALID_ARGUMENT, "control" },
		{ "/%7f", ERR_INVALID_ARGUMENT, "control" },
		{ "/%c3", ERR_INVALID_ARGUMENT, "UTF-8" },
		{ "/%c0%af", ERR_INVALID_ARGUMENT, "UTF-8" },
		{ "/%ed%a0%80", ERR_INVALID_ARGUMENT, "UTF-8" },
		{ "/a/b/c/d/e/f/g/h/i", ERR_NOT_FOUND, "no such path" },
	};
	struct url_path path;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!url_path_parse(cases[i].path, &path, &err))
			fail_msg("%s was accepted", cases[i].path);
		assert_int_equal(err.reason, cases[i].reason);
		if (!strstr(err.message, cases[i].word))
			fail_msg("%s: %s", cases[i].path, err.message);
	}
}

static void long_paths_fit_or_are_refused(void **state)
{
	char text[URL_PATH_BYTES_MAX + 16];
	struct url_path path;
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[URL_PATH_BYTES_MAX] = '\0'; /* a '/' and all but one byte: the NUL's */
	assert_int_equal(url_path_parse(text, &path, &err), 0);
	assert_int_equal(strlen(path.segments[0]), URL_PATH_BYTES_MAX - 1);
	text[URL_PATH_BYTES_MAX] = 'a';
	text[URL_PATH_BYTES_MAX + 1] = '\0';
	assert_int_equal(url_path_parse(text, &path, &err), -1);
	/* A segment that begins where the room ends. */
	text[URL_PATH_BYTES_MAX] = '/';
	assert_int_equal(url_path_parse(text, &path, &err), -1);
}

static void queries_are_read_pair_by_pair(void **state)
{
	static const char *const expected[][2] = {
		{ "a", "1" }, { "b", "" },	{ "c", "" },	   { "d", "x=y" },
		{ "", "z" },  { "e f", "g h" }, { "i&j", "k=&l" }, { "a", "2" },
	};
	const char *at = "a=1&b&c=&d=x=y&&=z&e+f=g%20h&i%26j=k%3d%26l&a=2&";
	struct url_pair pair;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(url_query_next(&at, &pair, &err), 1);
		assert_string_equal(pair.name, expected[i][0]);
		assert_string_equal(pair.value, expected[i][1]);
	}
	assert_int_equal(url_query_next(&at, &pair, &err), 0);
	assert_int_equal(url_query_next(&at, &pair, &err), 0);
}

static void bad_queries_are_refused(void **state)
{
	static const char *const queries[] = { "%", "a=%4", "%00=1", "a=%0d", "a=%ff", "a%zz=1" };
	struct url_pair pair;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		const char *at = queries[i];

		assert_int_equal(url_query_next(&at, &pair, &err), -1);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(err.message, queries[i]));
	}
}

static void long_names_and_values_are_refused(void **state)
{
	char text[1100];
	const char *at = text;
	struct url_pair pair;
	struct err err;

	(void)state;
	memset(text, 'n', sizeof(text));
	text[63] = '\0';
	assert_int_equal(url_query_next(&at, &pair, &err), 1);
	text[63] = 'n';
	text[64] = '\0';
	at = text;
	assert_int_equal(url_query_next(&at, &pair, &err), -1);
	memset(text, 'v', sizeof(text));
	text[1] = '=';
	text[2 + 1023] = '\0';
	at = text;
	assert_int_equal(url_query_next(&at, &pair, &err), 1);
	assert_int_equal(strlen(pair.value), 1023);
	text[2 + 1023] = 'v';
	text[2 + 1024] = '\0';
	at = text;
	assert_int_equal(url_query_next(&at, &pair, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_split_before_they_are_decoded),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(long_paths_fit_or_are_refused),
		cmocka_unit_test(queries_are_read_pair_by_pair),
		cmocka_unit_test(bad_queries_are_refused),
		cmocka_unit_test(long_names_and_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
