/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <stdio.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include "utf8.h"
#include "wire_check.h"

#define DOMAIN	      "hypeman"
#define TYPE_PREFIX   "type.googleapis.com/"
#define INFO_TYPE     TYPE_PREFIX "google.rpc.ErrorInfo"
#define FAILURE_TYPE  TYPE_PREFIX "google.rpc.PreconditionFailure"
#define DETAILS_BYTES 4096 /* base64 makes it 5.5 KiB; the status text is beside it */

typedef Google__Rpc__PreconditionFailure__Violation wire_violation;
typedef Google__Rpc__ErrorInfo__MetadataEntry wire_entry;

static char *text_of(const char *text)
{
	return (char *)(uintptr_t)text; /* generated types have no const; packing only reads */
}

static void pack_any(Google__Protobuf__Any *any, const char *type, const ProtobufCMessage *message,
		     uint8_t *buffer)
{
	google__protobuf__any__init(any);
	any->type_url = text_of(type);
	any->value.data = buffer;
	any->value.len = protobuf_c_message_pack(message, buffer);
}

/* The first `violation_count` details of err. */
static grpc_slice pack_status(const struct err *err, wire_violation **violations,
			      size_t violation_count)
{
	const struct err_reason_info *info = err_reason_info(err->reason);
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Google__Rpc__ErrorInfo error_info = GOOGLE__RPC__ERROR_INFO__INIT;
	Google__Rpc__PreconditionFailure failure = GOOGLE__RPC__PRECONDITION_FAILURE__INIT;
	wire_entry entry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
	wire_entry *entries = &entry;
	Google__Protobuf__Any any[2];
	Google__Protobuf__Any *any_list[2] = { &any[0], &any[1] };
	uint8_t info_bytes[256];
	uint8_t failure_bytes[sizeof(err->details) + ERR_DETAILS_MAX * 16];
	grpc_slice slice;

	error_info.reason = text_of(info->word);
	error_info.domain = text_of(DOMAIN);
	entry.key = text_of("field");
	entry.value = text_of(err->field);
	error_info.n_metadata = err->field[0] != '\0';
	error_info.metadata = &entries;
	pack_any(&any[0], INFO_TYPE, &error_info.base, info_bytes);

	failure.n_violations = violation_count;
	failure.violations = violations;
	pack_any(&any[1], FAILURE_TYPE, &failure.base, failure_bytes);

	status.code = (int)info->grpc_code;
	status.message = text_of(err->message);
	status.n_details = violation_count ? 2 : 1;
	status.details = any_list;
	slice = grpc_slice_malloc(google__rpc__status__get_packed_size(&status));
	google__rpc__status__pack(&status, GRPC_SLICE_START_PTR(slice));
	return slice;
}

/* Texts may hold anything, and may have been cut inside a character. */
static void repair(struct err *err)
{
	utf8_repair(err->message);
	utf8_repair(err->field);
	for (size_t i = 0; i < err->detail_count; i++) {
		utf8_repair(err->details[i].type);
		utf8_repair(err->details[i].subject);
		utf8_repair(err->details[i].message);
	}
}

grpc_slice status_details_pack(const struct err *err)
{
	wire_violation violations[ERR_DETAILS_MAX];
	wire_violation *violation_list[ERR_DETAILS_MAX];
	struct err clean = *err;
	size_t count = err->detail_count;
	grpc_slice slice;

	repair(&clean);
	for (size_t i = 0; i < count; i++) {
		google__rpc__precondition_failure__violation__init(&violations[i]);
		violations[i].type = clean.details[i].type;
		violations[i].subject = clean.details[i].subject;
		violations[i].description = clean.details[i].message;
		violation_list[i] = &violations[i];
	}
	slice = pack_status(&clean, violation_list, count);
	while (GRPC_SLICE_LENGTH(slice) > DETAILS_BYTES && count > 0) {
		grpc_slice_unref(slice);
		slice = pack_status(&clean, violation_list, --count);
	}
	return slice;
}

/* NULL when the content is of another type or malformed. */
static ProtobufCMessage *unpack_any(const Google__Protobuf__Any *any, const char *type,
				    const ProtobufCMessageDescriptor *descriptor)
{
	struct err ignored;

	if (strcmp(any->type_url, type) != 0 ||
	    wire_check(descriptor, any->value.data, any->value.len, &ignored))
		return NULL;
	return protobuf_c_message_unpack(descriptor, NULL, any->value.len, any->value.data);
}

static void read_info(const Google__Rpc__ErrorInfo *info, struct err *err)
{
	if (strcmp(info->domain, DOMAIN) == 0)
		err->reason = err_reason_parse(info->reason);
	for (size_t i = 0; i < info->n_metadata; i++)
		if (strcmp(info->metadata[i]->key, "field") == 0)
			snprintf(err->field, sizeof(err->field), "%s", info->metadata[i]->value);
}

static void read_failure(const Google__Rpc__PreconditionFailure *failure, struct err *err)
{
	for (size_t i = 0; i < failure->n_violations; i++) {
		const wire_violation *violation = failure->violations[i];

		err_add_detail(err, violation->type, violation->subject, "%s",
			       violation->description);
	}
}

static void read_detail(const Google__Protobuf__Any *any, struct err *err)
{
	ProtobufCMessage *message;

	message = unpack_any(any, INFO_TYPE, &google__rpc__error_info__descriptor);
	if (message)
		read_info((const Google__Rpc__ErrorInfo *)message, err);
	protobuf_c_message_free_unpacked(message, NULL);
	message = unpack_any(any, FAILURE_TYPE, &google__rpc__precondition_failure__descriptor);
	if (message)
		read_failure((const Google__Rpc__PreconditionFailure *)message, err);
	protobuf_c_message_free_unpacked(message, NULL);
}

bool status_details_unpack(int code, const uint8_t *details, size_t size, struct err *err)
{
	Google__Rpc__Status *status = NULL;
	struct err found;

	if (wire_check(&google__rpc__status__descriptor, details, size, &found) == 0)
		status = google__rpc__status__unpack(NULL, size, details);
	if (!status)
		return false;
	err_set(&found, ERR_NONE, "%s", status->message);
	for (size_t i = 0; i < status->n_details; i++)
		read_detail(status->details[i], &found);
	google__rpc__status__free_unpacked(status, NULL);
	if (found.reason == ERR_NONE || (int)err_reason_info(found.reason)->grpc_code != code)
		return false;
	*err = found;
	return true;
}

bool status_to_err(grpc_status_code code, grpc_slice text, const grpc_metadata_array *trailers,
		   struct err *err)
{
	char message[ERR_MESSAGE_MAX];
	enum err_reason reason = err_reason_from_grpc((int)code);

	for (size_t i = 0; i < trailers->count; i++) {
		grpc_slice value = trailers->metadata[i].value;

		if (grpc_slice_str_cmp(trailers->metadata[i].key, STATUS_DETAILS_KEY) == 0 &&
		    status_details_unpack((int)code, GRPC_SLICE_START_PTR(value),
					  GRPC_SLICE_LENGTH(value), err))
			return true;
	}
	snprintf(message, sizeof(message), "%.*s", (int)GRPC_SLICE_LENGTH(text),
		 (const char *)GRPC_SLICE_START_PTR(text));
	utf8_repair(message);
	/* gRPC's own refusal of a message over the limit has no other mark. */
	if (code == GRPC_STATUS_RESOURCE_EXHAUSTED && strstr(message, "larger than max"))
		reason = ERR_MESSAGE_TOO_LARGE;
	err_set(err, reason, "%s", message);
	return false;
}
