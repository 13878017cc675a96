/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct err_reason_info reasons[ERR_REASON_COUNT] = {
	[ERR_NONE] = { "ok", ERR_GRPC_OK, 200, RETRY_NEVER },
#define REASON(name, word, grpc_code, http, retry)                                                 \
	[ERR_##name] = { word, ERR_GRPC_##grpc_code, http, retry },
#include "reasons.def"
#undef REASON
};

static void start(struct err *err, enum err_reason reason, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* By way of a copy: an argument may be a part of *err itself. */
static void start(struct err *err, enum err_reason reason, const char *format, va_list args)
{
	char message[ERR_MESSAGE_MAX];

	vsnprintf(message, sizeof(message), format, args);
	memcpy(err->message, message, sizeof(message));
	err->reason = reason;
	err->field[0] = '\0';
	err->detail_count = 0;
}

int err_set(struct err *err, enum err_reason reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	start(err, reason, format, args);
	va_end(args);
	return -1;
}

int err_field(struct err *err, const char *field, const char *format, ...)
{
	char copy[sizeof(err->field)];
	va_list args;

	snprintf(copy, sizeof(copy), "%s", field);
	va_start(args, format);
	start(err, ERR_INVALID_ARGUMENT, format, args);
	va_end(args);
	memcpy(err->field, copy, sizeof(copy));
	return -1;
}

int err_sys(struct err *err, int errno_value, const char *format, ...)
{
	va_list args;
	size_t used;

	va_start(args, format);
	start(err, ERR_INTERNAL, format, args);
	va_end(args);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s",
		 strerror(abs(errno_value)));
	return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
	char message[ERR_MESSAGE_MAX];
	va_list args;
	int used;

	va_start(args, format);
	used = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (used >= 0 && (size_t)used < sizeof(message))
		snprintf(message + used, sizeof(message) - (size_t)used, ": %s", err->message);
	memcpy(err->message, message, sizeof(message));
	return -1;
}

void err_add_detail(struct err *err, const char *type, const char *subject, const char *format, ...)
{
	struct err_detail *detail;
	va_list args;

	if (err->detail_count == ERR_DETAILS_MAX)
		return;
	detail = &err->details[err->detail_count++];
	snprintf(detail->type, sizeof(detail->type), "%s", type);
	snprintf(detail->subject, sizeof(detail->subject), "%s", subject);
	va_start(args, format);
	vsnprintf(detail->message, sizeof(detail->message), format, args);
	va_end(args);
}

const struct err_reason_info *err_reason_info(enum err_reason reason)
{
	return &reasons[reason];
}

enum err_reason err_reason_parse(const char *word)
{
	for (enum err_reason r = ERR_NONE + 1; r < ERR_REASON_COUNT; r++)
		if (strcmp(reasons[r].word, word) == 0)
			return r;
	return ERR_NONE;
}

enum err_reason err_reason_from_grpc(int grpc_code)
{
	switch (grpc_code) {
	case ERR_GRPC_OK:
		return ERR_NONE;
	case ERR_GRPC_CANCELLED:
		return ERR_CANCELLED;
	case ERR_GRPC_INVALID_ARGUMENT:
	case ERR_GRPC_OUT_OF_RANGE:
		return ERR_INVALID_ARGUMENT;
	case ERR_GRPC_DEADLINE_EXCEEDED:
		return ERR_OUTCOME_UNKNOWN;
	case ERR_GRPC_NOT_FOUND:
		return ERR_NOT_FOUND;
	case ERR_GRPC_ALREADY_EXISTS:
	case ERR_GRPC_FAILED_PRECONDITION:
		return ERR_FAILED_PRECONDITION;
	case ERR_GRPC_PERMISSION_DENIED:
	case ERR_GRPC_UNAUTHENTICATED:
		return ERR_FORBIDDEN;
	case ERR_GRPC_RESOURCE_EXHAUSTED:
		return ERR_OVERLOADED;
	case ERR_GRPC_ABORTED:
		return ERR_ABORTED;
	case ERR_GRPC_UNIMPLEMENTED:
		return ERR_NOT_IMPLEMENTED;
	case ERR_GRPC_UNAVAILABLE:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}
