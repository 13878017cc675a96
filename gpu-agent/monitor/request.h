/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of what serve sends: past these checks a struct op_request holds only known
 * kinds, terminated text of the allowed form, and valid addresses. Pure.
 */

#ifndef GPU_AGENT_MONITOR_REQUEST_H
#define GPU_AGENT_MONITOR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "gpu-agent/ops.h"

/* NULL when all is well; else what is wrong. size: of the packet that was received. */
const char *request_check(const struct op_request *request, size_t size);

/* Whether the scope of a request that was checked covers this GPU, a physical function. */
bool request_is_in_scope(const struct op_request *request, struct pci_addr gpu);

const char *request_check_monitor(const struct monitor_request *request, size_t size);

#endif
