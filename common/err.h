/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, as the caller will see it.
 *
 * A function whose last parameter is a struct err returns 0, or -1 with it filled: a
 * reason of reasons.def and one sentence that names the object, the value and what
 * would be accepted. A function without one returns 0 (or a count) or -errno.
 *
 * A struct err is a value of fixed size on the caller's stack: it owns nothing, so
 * "out of memory" can be reported too. Texts that do not fit are cut.
 */

#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stddef.h>

enum err_reason {
	ERR_NONE,
#define REASON(name, word, grpc_code, http, retry) ERR_##name,
#include "reasons.def"
#undef REASON
	ERR_REASON_COUNT,
};

enum err_retry {
	RETRY_NEVER,
	RETRY_LATER
};

/* Numbers of gRPC status codes. */
enum err_grpc_code {
	ERR_GRPC_OK = 0,
	ERR_GRPC_CANCELLED = 1,
	ERR_GRPC_UNKNOWN = 2,
	ERR_GRPC_INVALID_ARGUMENT = 3,
	ERR_GRPC_DEADLINE_EXCEEDED = 4,
	ERR_GRPC_NOT_FOUND = 5,
	ERR_GRPC_ALREADY_EXISTS = 6,
	ERR_GRPC_PERMISSION_DENIED = 7,
	ERR_GRPC_RESOURCE_EXHAUSTED = 8,
	ERR_GRPC_FAILED_PRECONDITION = 9,
	ERR_GRPC_ABORTED = 10,
	ERR_GRPC_OUT_OF_RANGE = 11,
	ERR_GRPC_UNIMPLEMENTED = 12,
	ERR_GRPC_INTERNAL = 13,
	ERR_GRPC_UNAVAILABLE = 14,
	ERR_GRPC_DATA_LOSS = 15,
	ERR_GRPC_UNAUTHENTICATED = 16,
};

struct err_reason_info {
	const char *word;
	enum err_grpc_code grpc_code;
	int http_status;
	enum err_retry retry;
};

#define ERR_MESSAGE_MAX 512
#define ERR_DETAILS_MAX 16

/* One part of an explanation, for example why one GPU has no room. */
struct err_detail {
	char type[32];	   /* a word for machines: "size_locked" */
	char subject[64];  /* what it is about: "0000:41:00.0" */
	char message[192]; /* a sentence for people */
};

struct err {
	enum err_reason reason;
	char message[ERR_MESSAGE_MAX];
	char field[64]; /* the request field at fault, "instance.name"; empty: none */
	size_t detail_count;
	struct err_detail details[ERR_DETAILS_MAX];
};

/* Each returns -1, so that a failing function can return its call. */
int err_set(struct err *err, enum err_reason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int err_field(struct err *err, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4))); /* INVALID_ARGUMENT about one field */

/* INTERNAL, with ": <text of errno_value>" appended; errno_value may be negative. */
int err_sys(struct err *err, int errno_value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before the message. Returns -1. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Beyond ERR_DETAILS_MAX details are dropped. */
void err_add_detail(struct err *err, const char *type, const char *subject, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

const struct err_reason_info *err_reason_info(enum err_reason reason);

/* ERR_NONE for a word that is not in reasons.def. */
enum err_reason err_reason_parse(const char *word);

/* For a status that came without a reason: INTERNAL for codes nothing else fits. */
enum err_reason err_reason_from_grpc(int grpc_code);

#endif
