/* SPDX-License-Identifier: Apache-2.0 */
/* What several of the gateway's unit tests need. */

#ifndef TESTS_API_GATEWAY_FIXTURE_H
#define TESTS_API_GATEWAY_FIXTURE_H

#include "api-gateway/field_table.h"

/* Of the project's services and of kinds.proto. Ends the program when it cannot. */
struct field_table *fixture_fields(void);

/* The table of one message, which must be known. */
const struct message_table *fixture_message(struct field_table *fields,
					    const ProtobufCMessageDescriptor *type);

#endif
