/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may open a device's node, and who has it open.
 */

#ifndef GPU_AGENT_MONITOR_ACCESS_H
#define GPU_AGENT_MONITOR_ACCESS_H

#include "holders.h"

void access_send_holders(struct job *job, const struct holders *holders);

#endif
