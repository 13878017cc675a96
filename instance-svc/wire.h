/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a message under construction; each returns false when out of memory. */

#ifndef INSTANCE_SVC_WIRE_H
#define INSTANCE_SVC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "google/protobuf/timestamp.pb-c.h"

/* *field is protobuf-c's constant "" or another text that it does not own; a copy replaces it. */
bool wire_set_text(char **field, const char *text);

/* Both halves of "NAME=value", as wire_set_text() does. */
bool wire_set_pair(char **name, char **value, const char *entry);

/* Milliseconds since 1970. */
bool wire_set_time(Google__Protobuf__Timestamp **field, int64_t ms);

#endif
