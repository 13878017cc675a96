/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/edge_check.h"

/* A head as civetweb leaves it: NULs over the separators, and the buffer they lie in. */
struct parsed {
	struct request request;
	char buffer[4096];
};

static char *cut(char **at, const char *separator)
{
	char *start = *at;
	char *end = strstr(start, separator);

	assert_non_null(end);
	memset(end, '\0', strlen(separator));
	*at = end + strlen(separator);
	return start;
}

/* Of a well-formed head without the empty line. */
static void parse(struct parsed *parsed, const char *head)
{
	char *at = parsed->buffer;

	memset(parsed, 0, sizeof(*parsed));
	strcpy(parsed->buffer, head);
	strcat(parsed->buffer, "\r\n");
	parsed->buffer[strlen(parsed->buffer) - 1] = '\0'; /* the empty line's LF */
	parsed->request.method = cut(&at, " ");
	parsed->request.target = cut(&at, " ");
	parsed->request.version = cut(&at, "\r\n") + strlen("HTTP/");
	for (char *query = strchr(parsed->request.target, '?'); query; query = NULL) {
		*query = '\0';
		parsed->request.query = query + 1;
	}
	while (*at != '\r') {
		struct request_header *header =
			&parsed->request.headers[parsed->request.header_count++];

		header->name = cut(&at, ":");
		at += strspn(at, " \t");
		header->value = cut(&at, "\r\n");
	}
}

static int check_framing(const char *head, struct err *err)
{
	static struct parsed parsed;

	parse(&parsed, head);
	return edge_check_framing(&parsed.request, err);
}

static void proper_heads_pass(void **state)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\nHost: localhost\r\n",
		"GET /a?b=c HTTP/1.1\r\nHost:localhost\r\n",
		"GET /a?b=c?d HTTP/1.0\r\nHost: \tlocalhost\r\nX-Empty:\r\nX-Blank: \r\n",
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n",
		"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 12 \r\n",
		"POST /a HTTP/1.1\r\nHOST: x\r\nTransfer-Encoding: Chunked\r\n",
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999\r\n",
	};
	static struct parsed parsed;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		parse(&parsed, heads[i]);
		if (edge_check_layout(&parsed.request, &err) ||
		    edge_check_framing(&parsed.request, &err))
			fail_msg("%s: %s", heads[i], err.message);
	}
}

static void ambiguous_lengths_are_refused(void **state)
{
	static const char *const heads[] = {
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x20\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1.0\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000000000\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nCONTENT-LENGTH: 1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n",
		("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		 "chunked\r\n"),
		"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n",
		"POST / HTTP/1.1\r\nX: x\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nHost: x\r\n",
		"POST http://x/ HTTP/1.1\r\nHost: x\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (!check_framing(heads[i], &err))
			fail_msg("accepted: %s", heads[i]);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	}
}

/* Each step takes a proper head and hides one piece of it, as a lenient parser would. */
static void whatever_the_parser_skipped_is_refused(void **state)
{
	static const char head[] = "GET /a?b HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nX-Two: 2\r\n";
	static struct parsed parsed;
	struct request *request = &parsed.request;
	struct err err;

	(void)state;
	parse(&parsed, head);
	request->header_count--; /* it stopped early */
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	request->headers[1] = request->headers[2]; /* it left one out */
	request->header_count--;
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	request->header_count = 0;
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	parsed.buffer[request->headers[1].value - 1 - parsed.buffer] = '\0'; /* "Name :" */
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	*(char *)(uintptr_t)request->headers[1].name = '('; /* no token */
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	request->target++; /* two blanks */
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	request->version++;
	assert_int_equal(edge_check_layout(request, &err), -1);

	parse(&parsed, head);
	request->query++;
	assert_int_equal(edge_check_layout(request, &err), -1);
}

/* civetweb keeps 64 headers and drops the rest: at 64 nobody knows. */
static void sixty_four_headers_are_too_many(void **state)
{
	static struct parsed parsed;
	char head[4000] = "GET / HTTP/1.1\r\nHost: x\r\n";
	struct err err;

	(void)state;
	for (int i = 0; i < 62; i++)
		strcat(head, "X: y\r\n");
	parse(&parsed, head);
	assert_int_equal(edge_check_layout(&parsed.request, &err), 0);
	strcat(head, "X: y\r\n");
	parse(&parsed, head);
	assert_int_equal(edge_check_layout(&parsed.request, &err), -1);
}

static bool has_auth;

static int check_caller(const char *host, const char *origin, struct err *err)
{
	struct request request = { .header_count = origin ? 2 : 1,
				   .headers = { { "Host", host }, { "origin", origin } } };

	return edge_check_caller(&request, has_auth, err);
}

static void only_loopback_names_are_hosts(void **state)
{
	static const char *const good[] = { "localhost",      "LocalHost:80", "127.0.0.1",
					    "127.0.0.1:8080", "127.255.0.3",  "[::1]",
					    "[::1]:1",	      "localhost:" };
	static const char *const bad[] = { "",
					   "example.com",
					   "localhost.",
					   "localhost.example.com",
					   "127.0.0.1.example.com",
					   "127.1",
					   "0x7f.0.0.1",
					   "2130706433",
					   "10.0.0.1",
					   "0.0.0.0",
					   "[::]",
					   "[::1",
					   "::1",
					   "[::1]x",
					   "[::ffff:127.0.0.1]",
					   "localhost:80x",
					   "localhost:80:80",
					   "127.0.0.1 ",
					   "evil@localhost",
					   "localhost@evil",
					   "[",
					   "]",
					   ":80" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (check_caller(good[i], NULL, &err))
			fail_msg("%s: %s", good[i], err.message);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!check_caller(bad[i], NULL, &err))
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(err.reason, ERR_FORBIDDEN);
	}
}

static void only_our_own_origin_may_call(void **state)
{
	static const char *const bad[] = {
		"",
		"null",
		"http://example.com",
		"http://localhost",
		"http://localhost:8081",
		"https://localhost:8080",
		"localhost:8080",
		"http://localhost:8080/",
		"http://localhost:8080.example.com",
		"http://127.0.0.1:8080",
		"http://localhost:8080 http://example.com",
	};
	struct err err;

	(void)state;
	assert_int_equal(check_caller("localhost:8080", "http://localhost:8080", &err), 0);
	assert_int_equal(check_caller("LOCALHOST:8080", "http://localhost:8080", &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!check_caller("localhost:8080", bad[i], &err))
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(err.reason, ERR_FORBIDDEN_ORIGIN);
	}
}

static void with_authentication_any_host_is_served_but_no_foreign_page(void **state)
{
	struct err err;

	(void)state;
	has_auth = true;
	assert_int_equal(check_caller("api.example.com", NULL, &err), 0);
	assert_int_equal(check_caller("api.example.com", "https://api.example.com", &err), 0);
	assert_int_equal(check_caller("api.example.com:80", "http://API.example.com:80", &err), 0);
	assert_int_equal(check_caller("api.example.com", "https://example.com", &err), -1);
	assert_int_equal(err.reason, ERR_FORBIDDEN_ORIGIN);
	has_auth = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proper_heads_pass),
		cmocka_unit_test(ambiguous_lengths_are_refused),
		cmocka_unit_test(whatever_the_parser_skipped_is_refused),
		cmocka_unit_test(sixty_four_headers_are_too_many),
		cmocka_unit_test(only_loopback_names_are_hosts),
		cmocka_unit_test(only_our_own_origin_may_call),
		cmocka_unit_test(with_authentication_any_host_is_served_but_no_foreign_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
