/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that turn a reserved slot into a vGPU: record the intent, have the device
 * created and its node granted, record that it is ready. Each failed step undoes those
 * before it; what cannot be undone at once is left to recovery.
 */

#ifndef GPU_AGENT_SERVE_CREATE_H
#define GPU_AGENT_SERVE_CREATE_H

#include "agent.h"

enum create_step {
	CREATE_DONE,
	CREATE_RETRY,  /* undone; another slot may do */
	CREATE_FAILED, /* undone, or left to recovery; *err is the answer */
};

/* Takes a new, busy lease, and ends it. *ret is set when it is done. */
enum create_step create_run(struct agent *agent, struct lease *take_lease, int64_t deadline_ms,
			    struct allocation *ret, struct err *err);

#endif
