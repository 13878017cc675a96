/* SPDX-License-Identifier: Apache-2.0 */
/* Status details: what we send, and what we make of what others send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rpc/status.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

static bool unpack(int code, grpc_slice slice, struct err *err)
{
	return status_details_unpack(code, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice),
				     err);
}

static void what_is_packed_is_what_the_public_messages_say(void **state)
{
	Google__Rpc__Status *status;
	Google__Rpc__ErrorInfo *info;
	Google__Rpc__PreconditionFailure *failure;
	grpc_slice slice;
	struct err err;

	(void)state;
	err_set(&err, ERR_INSUFFICIENT_CAPACITY, "no GPU has room");
	err_add_detail(&err, "size_locked", "0000:41:00.0", "it has 2 GB slots");
	slice = status_details_pack(&err);
	status = google__rpc__status__unpack(NULL, GRPC_SLICE_LENGTH(slice),
					     GRPC_SLICE_START_PTR(slice));
	assert_non_null(status);
	assert_int_equal(status->code, 8);
	assert_string_equal(status->message, "no GPU has room");
	assert_int_equal(status->n_details, 2);
	assert_string_equal(status->details[0]->type_url,
			    "type.googleapis.com/google.rpc.ErrorInfo");
	info = google__rpc__error_info__unpack(NULL, status->details[0]->value.len,
					       status->details[0]->value.data);
	assert_string_equal(info->reason, "insufficient_capacity");
	assert_string_equal(info->domain, "hypeman");
	assert_int_equal(info->n_metadata, 0);
	failure = google__rpc__precondition_failure__unpack(NULL, status->details[1]->value.len,
							    status->details[1]->value.data);
	assert_int_equal(failure->n_violations, 1);
	assert_string_equal(failure->violations[0]->subject, "0000:41:00.0");
	google__rpc__precondition_failure__free_unpacked(failure, NULL);
	google__rpc__error_info__free_unpacked(info, NULL);
	google__rpc__status__free_unpacked(status, NULL);
	grpc_slice_unref(slice);
}

static void largest_err_keeps_within_the_trailer(void **state)
{
	struct err err = { .reason = ERR_INSUFFICIENT_CAPACITY };
	struct err back;
	grpc_slice slice;

	(void)state;
	memset(err.message, 'm', sizeof(err.message) - 1);
	memset(err.field, 'f', sizeof(err.field) - 1);
	err.detail_count = ERR_DETAILS_MAX;
	for (int i = 0; i < ERR_DETAILS_MAX; i++) {
		memset(err.details[i].type, 't', sizeof(err.details[i].type) - 1);
		memset(err.details[i].subject, 's', sizeof(err.details[i].subject) - 1);
		memset(err.details[i].message, 'd', sizeof(err.details[i].message) - 1);
	}
	slice = status_details_pack(&err);
	assert_in_range(GRPC_SLICE_LENGTH(slice), 3000, 4096);
	assert_true(unpack(8, slice, &back));
	assert_string_equal(back.message, err.message);
	assert_string_equal(back.field, err.field);
	assert_in_range(back.detail_count, 10, ERR_DETAILS_MAX);
	grpc_slice_unref(slice);
}

static void details_of_another_kind_are_not_ours(void **state)
{
	struct err err = { .message = "untouched" };
	struct err sent;
	grpc_slice slice;

	(void)state;
	err_set(&sent, ERR_NOT_FOUND, "no such device");
	slice = status_details_pack(&sent);
	assert_false(unpack(13, slice, &err)); /* the code says otherwise */
	assert_true(unpack(5, slice, &err));
	assert_string_equal(err.message, "no such device");
	grpc_slice_unref(slice);

	err_set(&err, ERR_NONE, "untouched");
	assert_false(status_details_unpack(5, (const uint8_t *)"\xff", 1, &err));
	assert_false(status_details_unpack(5, NULL, 0, &err));
	assert_false(status_details_unpack(5, (const uint8_t *)"\x08\x05", 2, &err));
	assert_string_equal(err.message, "untouched");
}

static void foreign_domain_is_not_believed(void **state)
{
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Any *list = &any;
	char reason[] = "not_found", domain[] = "example.com";
	char type[] = "type.googleapis.com/google.rpc.ErrorInfo";
	uint8_t inner[64], outer[256];
	struct err err;

	(void)state;
	info.reason = reason;
	info.domain = domain;
	any.type_url = type;
	any.value.data = inner;
	any.value.len = google__rpc__error_info__pack(&info, inner);
	status.code = 5;
	status.n_details = 1;
	status.details = &list;
	assert_false(
		status_details_unpack(5, outer, google__rpc__status__pack(&status, outer), &err));
}

static void statuses_of_grpc_itself_get_a_reason(void **state)
{
	static const struct {
		grpc_status_code code;
		const char *text;
		enum err_reason reason;
	} statuses[] = {
		{ GRPC_STATUS_RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)",
		  ERR_MESSAGE_TOO_LARGE },
		{ GRPC_STATUS_RESOURCE_EXHAUSTED, "whatever", ERR_OVERLOADED },
		{ GRPC_STATUS_UNAVAILABLE, "Socket closed", ERR_UNAVAILABLE },
		{ GRPC_STATUS_CANCELLED, "CANCELLED", ERR_CANCELLED },
		{ GRPC_STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded", ERR_OUTCOME_UNKNOWN },
		{ GRPC_STATUS_UNKNOWN, "", ERR_INTERNAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		grpc_slice text = grpc_slice_from_static_string(statuses[i].text);
		const grpc_metadata_array none = { 0 };
		struct err err;

		assert_false(status_to_err(statuses[i].code, text, &none, &err));
		assert_int_equal(err.reason, statuses[i].reason);
		assert_string_equal(err.message, statuses[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_is_what_the_public_messages_say),
		cmocka_unit_test(largest_err_keeps_within_the_trailer),
		cmocka_unit_test(details_of_another_kind_are_not_ours),
		cmocka_unit_test(foreign_domain_is_not_believed),
		cmocka_unit_test(statuses_of_grpc_itself_get_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
