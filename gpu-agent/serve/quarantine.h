/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots on which creates fail one after another. With AGENT_FAILURES_MAX in a row a slot is in
 * quarantine: it is not used any more, whatever becomes of creates that are under way, until it
 * is uncordoned. That is on record, so a restart changes nothing.
 */

#ifndef GPU_AGENT_SERVE_QUARANTINE_H
#define GPU_AGENT_SERVE_QUARANTINE_H

#include "agent.h"

/* Those on record, at the start. */
int quarantine_load(struct agent *agent, struct err *err);

/* How a create on the slot ended: why it failed; NULL: it went well. Without the lock. */
void quarantine_judge(struct agent *agent, struct pci_addr slot, const char *failure);

bool quarantine_has_locked(const struct agent *agent, struct pci_addr slot);

/* Forgets the slot's failures; the record is the caller's business. */
void quarantine_end_locked(struct agent *agent, struct pci_addr slot);

#endif
