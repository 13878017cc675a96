/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs for which the kernel does not answer.
 *
 * A scan that does not end names the GPU that it hangs at. Scans leave that one out from then
 * on, and a worker of its own tries to read it, for as long as that takes: when it returns, the
 * GPU takes part again. Meanwhile it is shown as it was, offers nothing, and nothing is
 * concluded from its not being seen. So a GPU that hangs costs two workers, however long it
 * does: the one that found out, and the one that waits. Of one that has hung since this serve
 * began the address is known, which the folder of all functions tells, and mostly what it is, which
 * the kernel itself knows: it is listed with that.
 */

#ifndef GPU_AGENT_SERVE_SUSPECTS_H
#define GPU_AGENT_SERVE_SUSPECTS_H

#include "agent.h"

/*
 * False when it is a suspect already, or there are too many. The outcome is that of the scan that
 * hung at it. For the scanner's thread.
 */
bool suspects_add(struct agent *agent, struct pci_addr gpu, const struct outcome *outcome);

/* Makes the request leave them out. */
void suspects_leave_out(struct agent *agent, struct op_request *request);

/*
 * Puts what was seen of the GPUs that the request left out, when they answered last, behind
 * the records of its outcome, and keeps all of it for the next time. 0 or -ENOMEM.
 */
int suspects_complete(struct agent *agent, const struct op_request *request,
		      struct outcome *outcome);

/* After agent_stop(): until nobody waits for one of them any more. */
void suspects_wait_end(struct agent *agent);

#endif
