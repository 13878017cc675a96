/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"

#include "json_read.h"
#include "json_write.h"
#include "proto_message.h"

static int fill_body(const struct route *route, const struct text *body, ProtobufCMessage *request,
		     struct err *err)
{
	ProtobufCMessage **member;

	if (!route->body)
		return body->length > 0 ? json_read_empty(body->bytes, body->length, err) : 0;
	if (body->length == 0 && route->body_is_optional)
		return 0;
	if (body->length == 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the body is empty, must be a JSON object");
	member = proto_member(request, route->body);
	return json_read(route->body->message, body->bytes, body->length, member, err);
}

/* What the gateway itself adds, where the RPC has a field for it. */
static int fill_text(const struct route *route, const char *name, const char *text,
		     ProtobufCMessage *request, struct err *err)
{
	const struct field *field = message_table_find(route->request, name);

	if (!field || text[0] == '\0')
		return 0;
	return proto_set_string(proto_member(request, field), text)
		       ? err_sys(err, ENOMEM, "cannot read the request")
		       : 0;
}

int call_build_request(const struct route *route, const struct call_input *input,
		       ProtobufCMessage **ret, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *request =
		proto_message_new(route->request->pb);

	if (!request)
		return err_sys(err, ENOMEM, "cannot read the request");
	if (route_fill(route, input->path, input->query, request, err) ||
	    fill_body(route, input->body, request, err) ||
	    fill_text(route, "request_id", input->request_id, request, err) ||
	    fill_text(route, "principal", input->principal, request, err))
		return -1;
	*ret = TAKE_PTR(request);
	return 0;
}

static int fail_answer(const struct services *services, const struct route *route, struct err *err)
{
	return err_set(err, ERR_INTERNAL, "%s answered without %s",
		       services->of[route->service_id].name, route->answer->pb->name);
}

int call_write_answer(const struct services *services, const struct route *route,
		      const ProtobufCMessage *answer, struct text *ret, struct err *err)
{
	if (route->answer_is_whole)
		return json_write(ret, route->response, answer, err);
	if (!route->answer)
		return 0;
	if (!proto_is_set(answer, route->answer))
		return fail_answer(services, route, err);
	return json_write_field(ret, route->answer, answer, err);
}

/* Appends the elements of a page; a comma first unless it is the first element of all. */
static int append_page(const struct route *route, const ProtobufCMessage *page, struct text *ret,
		       struct err *err)
{
	scoped_text struct text list = { 0 };

	if (proto_count(page, route->answer) == 0)
		return 0;
	if (json_write_field(&list, route->answer, page, err))
		return -1;
	if (list.incomplete)
		return err_sys(err, ENOMEM, "cannot write the answer");
	if (ret->bytes[ret->length - 1] != '[')
		text_append_string(ret, ",");
	text_append(ret, list.bytes + 1, list.length - 2); /* without its brackets */
	return 0;
}

/* Services answer lists in pages (a message has a limit); REST lists are whole. */
static int run_list(const struct services *services, const struct route *route,
		    ProtobufCMessage *request, struct text *ret, struct err *err)
{
	int64_t end = clock_monotonic_ms() + services->timeout_ms;

	text_append_string(ret, "[");
	for (;;) {
		scoped(proto_message_free) ProtobufCMessage *page = NULL;
		int64_t left = end - clock_monotonic_ms();
		const char *token;

		if (ret->incomplete)
			return err_sys(err, ENOMEM, "cannot write the answer");
		if (services_call(services, route, request, left > 1 ? (int)left : 1, &page, err) ||
		    append_page(route, page, ret, err))
			return -1;
		token = *(char **)proto_member(page, route->next_page_token);
		if (token[0] == '\0')
			break;
		if (proto_set_string(proto_member(request, route->page_token), token))
			return err_sys(err, ENOMEM, "cannot read the list");
	}
	text_append_string(ret, "]");
	return 0;
}

int call_run(const struct services *services, const struct route *route,
	     const struct call_input *input, struct text *ret, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *request = NULL;
	scoped(proto_message_free) ProtobufCMessage *answer = NULL;

	if (call_build_request(route, input, &request, err))
		return -1;
	if (route->page_token && route->next_page_token)
		return run_list(services, route, request, ret, err);
	if (services_call(services, route, request, services->timeout_ms, &answer, err))
		return -1;
	return call_write_answer(services, route, answer, ret, err);
}

static int run_part(const struct services *services, const struct route *part, int timeout_ms,
		    bool *first, struct text *ret, struct err *err)
{
	scoped(proto_message_free) ProtobufCMessage *request = NULL;
	scoped(proto_message_free) ProtobufCMessage *answer = NULL;

	request = proto_message_new(part->request->pb);
	if (!request)
		return err_sys(err, ENOMEM, "cannot read");
	if (services_call(services, part, request, timeout_ms, &answer, err))
		return -1;
	if (part->answer_is_whole)
		return json_write_members(ret, part->response, answer, first, err);
	if (!proto_is_set(answer, part->answer) && !part->answer->null_when_unset)
		return fail_answer(services, part, err);
	text_append_format(ret, "%s\"%s\":", *first ? "" : ",", part->pattern);
	*first = false;
	return json_write_field(ret, part->answer, answer, err);
}

int call_run_join(const struct services *services, const struct route *join, size_t route_count,
		  int timeout_ms, struct text *ret, struct err *err)
{
	int64_t end = clock_monotonic_ms() + timeout_ms;
	bool first = true;

	text_append_string(ret, "{");
	for (size_t i = 1; i < route_count && join[i].kind == ROUTE_PART; i++) {
		int64_t left = end - clock_monotonic_ms();

		if (run_part(services, &join[i], left > 1 ? (int)left : 1, &first, ret, err))
			return -1;
	}
	text_append_string(ret, "}");
	return 0;
}
