/* SPDX-License-Identifier: Apache-2.0 */
#include "response.h"

#include <time.h>

#define RETRY_AFTER_SECONDS 1

void response_done(struct response *response)
{
	text_done(&response->body);
}

static const char *reason_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 429, "Too Many Requests" },
		{ 499, "Client Closed Request" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

static void append_detail(struct text *body, const char *code, const char *subject,
			  const char *message, bool first)
{
	scoped_text struct text sentence = { 0 };

	text_append_format(&sentence, "%s%s%s", subject, subject[0] ? ": " : "", message);
	text_append_string(body, first ? "{\"code\":" : ",{\"code\":");
	text_append_json_string(body, code);
	text_append_string(body, ",\"message\":");
	text_append_json_string(body, sentence.bytes ? sentence.bytes : "");
	text_append_string(body, "}");
}

static void append_details(struct text *body, const struct err *err)
{
	if (err->field[0] == '\0' && err->detail_count == 0)
		return;
	text_append_string(body, ",\"details\":[");
	if (err->field[0])
		append_detail(body, "field", "", err->field, true);
	for (size_t i = 0; i < err->detail_count; i++)
		append_detail(body, err->details[i].type, err->details[i].subject,
			      err->details[i].message, i == 0 && !err->field[0]);
	text_append_string(body, "]");
}

void response_set_problem(struct response *response, const struct err *err)
{
	const struct err_reason_info *info = err_reason_info(err->reason);

	text_done(&response->body);
	response->content_type = NULL;
	response->policy = NULL;
	response->status = info->http_status;
	response->retry_later = info->retry == RETRY_LATER;
	response->never_retry = info->retry == RETRY_NEVER;
	response->challenge = err->reason == ERR_UNAUTHENTICATED;
	text_append_string(&response->body, "{\"code\":");
	text_append_json_string(&response->body, info->word);
	text_append_string(&response->body, ",\"message\":");
	text_append_json_string(&response->body, err->message);
	append_details(&response->body, err);
	text_append_string(&response->body, "}");
}

static void append_date(struct text *to)
{
	time_t now = time(NULL);
	struct tm tm;
	char date[64];

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	text_append_format(to, "Date: %s\r\n", date);
}

void response_write_head(const struct response *response, bool close, struct text *to)
{
	text_append_format(to, "HTTP/1.1 %d %s\r\n", response->status,
			   reason_phrase(response->status));
	append_date(to);
	if (response->body.length > 0)
		text_append_format(to, "Content-Type: %s\r\n",
				   response->content_type ? response->content_type
							  : "application/json");
	if (response->status != 204)
		text_append_format(to, "Content-Length: %zu\r\n", response->body.length);
	if (response->policy)
		text_append_format(to, "Content-Security-Policy: %s\r\n", response->policy);
	if (response->allow[0])
		text_append_format(to, "Allow: %s\r\n", response->allow);
	if (response->retry_later)
		text_append_format(to, "Retry-After: %d\r\n", RETRY_AFTER_SECONDS);
	if (response->never_retry)
		text_append_string(to, "x-should-retry: false\r\n");
	if (response->challenge)
		text_append_string(to, "WWW-Authenticate: Bearer realm=\"hypeman\"\r\n");
	text_append_format(to,
			   "Cache-Control: no-store\r\n"
			   "X-Content-Type-Options: nosniff\r\n"
			   "Connection: %s\r\n\r\n",
			   close ? "close" : "keep-alive");
}
