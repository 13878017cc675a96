/* SPDX-License-Identifier: Apache-2.0 */
#include "edge_check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "field_error.h"

static int fail_layout(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "the request's head is malformed: lines must end with CR LF, headers must "
		       "be 'Name: value' without folding, at most %d",
		       REQUEST_HEADERS_MAX - 1);
}

static const char *end_of(const char *text)
{
	return text + strlen(text);
}

/* The parser wrote NULs over the separators: one for ' ' and ':', two for CR LF. */
static bool request_line_is_tight(const struct request *request)
{
	const char *target_end = end_of(request->query ? request->query : request->target);

	if (request->target != end_of(request->method) + 1)
		return false;
	if (request->query && request->query != end_of(request->target) + 1)
		return false;
	return request->version == target_end + 1 + strlen("HTTP/");
}

static bool name_is_token(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
			return false;
	return name[0] != '\0';
}

/* After the name's NUL only blanks may come before the value: "Name :" leaves a NUL. */
static bool header_is_tight(const struct request_header *header)
{
	for (const char *c = end_of(header->name) + 1; c < header->value; c++)
		if (*c != ' ' && *c != '\t')
			return false;
	return name_is_token(header->name);
}

int edge_check_layout(const struct request *request, struct err *err)
{
	/* civetweb takes any two blanks for its CR LF, which a proxy always writes anew. */
	const char *line = end_of(request->version) + 2;

	if (!request_line_is_tight(request) || request->header_count == 0 ||
	    request->header_count >= REQUEST_HEADERS_MAX)
		return fail_layout(err);
	for (size_t i = 0; i < request->header_count; i++) {
		const struct request_header *header = &request->headers[i];

		if (header->name != line || !header_is_tight(header))
			return fail_layout(err);
		line = end_of(header->value) + 2;
	}
	/*
	 * The empty line: its LF is the head's last byte, which the parser replaced too. A
	 * head that ends in LF LF could fill the buffer, with nothing there to look at.
	 */
	if (line + 2 > request->method + REQUEST_HEAD_BYTES_MAX)
		return fail_layout(err);
	if (line[-1] != '\0' || line[0] != '\r' || line[1] != '\0')
		return fail_layout(err);
	return 0;
}

static bool is_digits(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	/* 18 digits fit into the parser's 64 bits; blanks may follow a value. */
	return digits >= 1 && digits <= 18 && text[digits + strspn(text + digits, " \t")] == '\0';
}

int edge_check_framing(const struct request *request, struct err *err)
{
	size_t length_count = request_count_header(request, "Content-Length");
	size_t encoding_count = request_count_header(request, "Transfer-Encoding");
	const char *length = request_header(request, "Content-Length");
	const char *encoding = request_header(request, "Transfer-Encoding");

	if (request->target[0] != '/')
		return err_set(err, ERR_INVALID_ARGUMENT, "the request target must be a path");
	if (request_count_header(request, "Host") != 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "the header Host must be there once");
	if (length_count > 1 || encoding_count > 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "the header %s must not be repeated",
			       length_count > 1 ? "Content-Length" : "Transfer-Encoding");
	if (length && encoding)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "Content-Length and Transfer-Encoding exclude each other");
	if (length && !is_digits(length))
		return err_field(err, "Content-Length",
				 "Content-Length is %s, must be 1 to 18 decimal digits",
				 field_quote(length).s);
	if (encoding &&
	    (strcasecmp(encoding, "chunked") != 0 || strcmp(request->version, "1.1") != 0))
		return err_field(err, "Transfer-Encoding",
				 "Transfer-Encoding is %s, must be chunked, in HTTP/1.1",
				 field_quote(encoding).s);
	return 0;
}

/* "localhost", "127.0.0.1", "[::1]", each with a port or without. */
static bool is_loopback(const char *host)
{
	size_t length = strcspn(host, ":");
	struct in_addr address;
	char name[64];

	if (host[0] == '[')
		length = strcspn(host, "]") + 1;
	if (length >= sizeof(name) || length > strlen(host))
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	host += length;
	if (*host == ':')
		host += 1 + strspn(host + 1, "0123456789");
	if (*host != '\0')
		return false;
	if (strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* "http://" and our Host; a proxy that speaks TLS for us makes it "https://". */
static bool is_own_origin(const char *origin, const char *host, bool has_auth)
{
	if (has_auth && strncmp(origin, "https://", 8) == 0)
		return strcasecmp(origin + 8, host) == 0;
	return strncmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

int edge_check_caller(const struct request *request, bool has_auth, struct err *err)
{
	const char *host = request_header(request, "Host");
	const char *origin = request_header(request, "Origin");

	if (!has_auth && !is_loopback(host))
		return err_set(err, ERR_FORBIDDEN,
			       "Host is %s, must be a loopback name such as 127.0.0.1: there is no "
			       "authentication",
			       field_quote(host).s);
	if (!origin ||
	    (request_count_header(request, "Origin") == 1 && is_own_origin(origin, host, has_auth)))
		return 0;
	return err_set(err, ERR_FORBIDDEN_ORIGIN,
		       "Origin is %s, pages of other origins may not call this API",
		       field_quote(origin).s);
}
