/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What binding a whole GPU to vfio-pci would mean: which functions move along, and whether
 * something forbids it. Reading only; who uses the GPU is another question (gpu_holders.h).
 *
 * A guest that has one device of an IOMMU group has them all. So the GPU's group must hold
 * nothing but functions of its own slot, bridges, and endpoints that no driver has; and
 * never another GPU, which would come along unasked.
 */

#ifndef GPU_AGENT_MONITOR_PLAN_H
#define GPU_AGENT_MONITOR_PLAN_H

#include "gpu-agent/ops.h"
#include "host.h"
#include "policy.h"

#define PLAN_MEMBERS_MAX 32

struct plan {
	struct pci_addr gpu;
	uint32_t iommu_group;
	enum op_reason refusal;
	char message[OPS_MESSAGE_MAX]; /* why; empty without a refusal */
	size_t member_count;
	struct op_group_member members[PLAN_MEMBERS_MAX];
};

/*
 * Never fails: what cannot be read is a refusal. ours: root's journal has a binding of it.
 * nvswitch: as plan_has_nvswitch() says.
 */
void plan_make(const struct host *host, const struct policy *policy, struct pci_addr gpu, bool ours,
	       bool nvswitch, struct plan *ret);

/*
 * Whether GPUs of this host are joined by NVSwitches: 1, 0 or -errno. Functions that the request
 * leaves out are not read; NULL: all are.
 */
int plan_has_nvswitch(const struct host *host, const struct op_request *request);

#endif
