/* SPDX-License-Identifier: Apache-2.0 */
/* Instances and resources as messages. Each is freed with protobuf_c_message_free_unpacked(). */

#ifndef INSTANCE_SVC_INSTANCE_WIRE_H
#define INSTANCE_SVC_INSTANCE_WIRE_H

#include "records.h"
#include "resources.h"
#include "spec.h"

/* NULL when out of memory. */
Hypeman__Instance__V1__Instance *instance_to_wire(const struct record *record,
						  const struct spec *spec);

Hypeman__Instance__V1__GetResourcesResponse *resources_to_wire(const struct resources *resources);

/* Adds what one instance holds. 0 or -ENOMEM. */
int resources_wire_add(Hypeman__Instance__V1__GetResourcesResponse *wire,
		       const struct record *record, const struct spec *spec);

#endif
