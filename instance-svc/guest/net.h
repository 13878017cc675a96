/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network: loopback, and the first Ethernet device with a fixed address. */

#ifndef INSTANCE_SVC_GUEST_NET_H
#define INSTANCE_SVC_GUEST_NET_H

#include "common/err.h"

struct guest_config;

/* Without a network in the config only loopback comes up. */
int net_configure(const struct guest_config *config, struct err *err);

#endif
