/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CordonSlot and UncordonSlot, without the wire, and what keeps each slot from being
 * offered. What lives on a cordoned slot stays; only nothing new goes there.
 */

#ifndef GPU_AGENT_SERVE_CORDON_H
#define GPU_AGENT_SERVE_CORDON_H

#include "agent.h"

/* SLOT_NOT_FOUND for an address that is no slot. Again: the reason is replaced. */
int cordon_slot(struct agent *agent, struct pci_addr slot, const char *reason, struct err *err);

/* Ends a quarantine of ours as well. Fine where there is neither. */
int uncordon_slot(struct agent *agent, struct pci_addr slot, struct err *err);

/* Puts every slot that is not offered, and why, into the view. 0 or -ENOMEM. */
int cordon_describe_locked(const struct agent *agent, struct host_view *view);

#endif
