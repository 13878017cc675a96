/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of creations whose worker was killed.
 *
 * An open intent makes a device ours. If its writer is dead, the device either exists now, or
 * that writer will never make it: an intent that stayed open would claim whatever somebody
 * else creates under that UUID later, and a serve in an attacker's hands could leave such
 * intents on purpose. So the monitor has this run as soon as a worker was killed.
 */

#ifndef GPU_AGENT_MONITOR_SETTLE_H
#define GPU_AGENT_MONITOR_SETTLE_H

#include "host.h"
#include "journal.h"

/* Closes or confirms each intent of a dead writer; one whose device cannot be read stays. */
int settle_run(const struct host *host, struct journal *journal, struct err *err);

#endif
