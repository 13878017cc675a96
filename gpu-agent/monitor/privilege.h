/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up root's powers, for good. libcap-ng is used here only.
 */

#ifndef GPU_AGENT_MONITOR_PRIVILEGE_H
#define GPU_AGENT_MONITOR_PRIVILEGE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* A set of capabilities: PRIVILEGE(CAP_CHOWN) | PRIVILEGE(CAP_SYS_PTRACE). */
#define PRIVILEGE(capability) (UINT64_C(1) << (capability))
#define PRIVILEGE_NONE	      UINT64_C(0)

/*
 * The process stays root by number but keeps only these capabilities, as far as it had them
 * (a container may lack some; the kernel's refusal will name the operation then).
 */
int privilege_keep(uint64_t capabilities, struct err *err);

/* Becomes uid and gid without supplementary groups or capabilities; exec gains none back. */
int privilege_become(uid_t uid, gid_t gid, struct err *err);

#endif
