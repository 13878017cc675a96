/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before the host goes down: every guest is asked to stop, through its supervisor, whether
 * the service runs or not. What was stopped so is started again after the boot if it has
 * autostart.
 */

#ifndef INSTANCE_SVC_GUESTS_STOP_H
#define INSTANCE_SVC_GUESTS_STOP_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * Returns when all VMs of `run_dir` have ended, with how many there were; or ERR_OUTCOME_UNKNOWN
 * after timeout_ms. `grace_ms` is each guest's time before QEMU is told to quit.
 */
int guests_stop(const char *run_dir, uint32_t grace_ms, int timeout_ms, size_t *ret_count,
		struct err *err);

#endif
