/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "gpu_proto_descriptor_set.h"
#include "instance_proto_descriptor_set.h"
#include "kinds_proto_descriptor_set.h"

struct field_table *fixture_fields(void)
{
	const struct descriptor_set sets[] = {
		{ gpu_proto_descriptor_set, gpu_proto_descriptor_set_size },
		{ instance_proto_descriptor_set, instance_proto_descriptor_set_size },
		{ kinds_proto_descriptor_set, kinds_proto_descriptor_set_size },
	};
	struct err err;
	struct field_table *fields = field_table_new(sets, 3, &err);

	if (!fields) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	return fields;
}

const struct message_table *fixture_message(struct field_table *fields,
					    const ProtobufCMessageDescriptor *type)
{
	struct err err;
	const struct message_table *message = field_table_message(fields, type, &err);

	if (!message) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	return message;
}
