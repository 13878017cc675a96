/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The .proto files a server knows, from serialized FileDescriptorSets: the kinds of
 * methods (protobuf-c's descriptors do not tell) and what reflection answers.
 */

#ifndef COMMON_RPC_DESCRIPTORS_H
#define COMMON_RPC_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "google/protobuf/descriptor.pb-c.h"

struct descriptors {
	size_t set_count;
	Google__Protobuf__FileDescriptorSet **sets; /* owned */
};

typedef Google__Protobuf__FileDescriptorProto descriptors_file;

int descriptors_add(struct descriptors *descriptors, const uint8_t *set, size_t size,
		    struct err *err);
void descriptors_done(struct descriptors *descriptors);

/* Borrowed; NULL when unknown. */
const Google__Protobuf__MethodDescriptorProto *
descriptors_find_method(const struct descriptors *descriptors, const char *service,
			const char *method);
const descriptors_file *descriptors_find_file(const struct descriptors *descriptors,
					      const char *name);

/* The file that defines a message, enum, service, method, field, oneof or enum value. */
const descriptors_file *descriptors_find_symbol(const struct descriptors *descriptors,
						const char *symbol);

/*
 * The file and everything it imports, each once. *ret is freed by the caller, its
 * elements are borrowed. Returns the count, or -1 when out of memory.
 */
int descriptors_closure(const struct descriptors *descriptors, const descriptors_file *file,
			const descriptors_file ***ret);

#endif
