/* SPDX-License-Identifier: Apache-2.0 */
/* Whole GPUs: which could be given to a VM now, and why not the others. */

#ifndef GPU_AGENT_SERVE_PASSTHROUGH_H
#define GPU_AGENT_SERVE_PASSTHROUGH_H

#include "agent.h"

struct passthrough_text {
	char s[192];
};

/* Whether binding it to vfio-pci would succeed, as far as the last scan tells. */
bool passthrough_is_available_locked(const struct agent *agent, struct pci_addr address);

/* For people, why not; empty when it is. */
struct passthrough_text passthrough_reason_locked(const struct agent *agent,
						  struct pci_addr address);

/* The figures of whole GPUs, into the view. */
void passthrough_describe_locked(const struct agent *agent, struct host_view *view);

#endif
