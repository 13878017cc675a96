/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this host ready for guests with GPUs? As virt-host-validate does: one finding for each
 * question, passed or not, with what to do about it. Nothing is changed.
 *
 * "gpu-agent --check" prints them and OP_CHECK_HOST streams them.
 */

#ifndef GPU_AGENT_MONITOR_CHECK_H
#define GPU_AGENT_MONITOR_CHECK_H

#include "gpu-agent/ops.h"
#include "host.h"
#include "policy.h"
#include "settings.h"

struct check {
	const struct host *host;
	const struct policy *policy;
	void (*found)(void *context, const struct op_finding *finding);
	void *context;
};

/* subject: "" for the host as a whole; fix: "" where there is nothing to do. */
void check_add(const struct check *check, enum op_level level, const char *name,
	       const char *subject, const char *fix, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* IOMMU, VFIO, each GPU with its driver, functions, types, group and users. */
void check_gpus(const struct check *check);
/* KVM, huge pages, locked memory, udev's rules. */
void check_machine(const struct check *check);

/* Prints every finding on stdout. The exit status: 0 all passed, 1 warnings, 2 failures. */
int check_main(const struct settings *settings);

#endif
