/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_BIND_VFIO: all of a GPU's slot goes to vfio-pci, or nothing does.
 *
 * Everything that can be looked at is looked at first. The journal then learns which driver each
 * function has, before the first write; from there on a killed worker leaves what
 * OP_RESTORE_DRIVER undoes.
 *
 * The kernel blocks an unbind while the GPU is in use, so who uses it is asked last. A process
 * that opens it in the instant after makes the unbind wait for it: nothing can keep root's own
 * programs out.
 */
#include <errno.h>
#include <string.h>

#include "binding.h"
#include "claim.h"
#include "common/log.h"
#include "gpu_holders.h"
#include "node.h"
#include "pci.h"
#include "plan.h"
#include "restore.h"

/* 1. What root's configuration and the host's topology say. */
static int check_plan(struct job *job, struct plan *ret)
{
	int nvswitch = plan_has_nvswitch(&job->host, &job->request);
	int there = tree_exists(&job->host.sysfs, PCI, PCI_STR(job->request.parent));

	if (there == 0) {
		job_end(job, OP_NOT_FOUND, 0, "there is no %s", PCI_STR(job->request.parent));
		return -1;
	}
	if (there < 0 || nvswitch < 0) {
		job_end(job, OP_KERNEL, there < 0 ? there : nvswitch, "cannot list PCI devices");
		return -1;
	}
	plan_make(&job->host, job->policy, job->request.parent, false, nvswitch == 1, ret);
	if (ret->refusal == OP_REASON_NONE)
		return 0;
	job_end(job, OP_REFUSED, 0, "%s", ret->message);
	job->result.reason = ret->refusal;
	return -1;
}

/* 2. Whether vfio-pci can have it, and nobody else steers it. */
static int check_override(struct job *job, const struct op_group_member *member)
{
	char override[OPS_DRIVER_MAX];
	int r = pci_read_override(&job->host.sysfs, member->address, override);

	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot read driver_override of %s",
			PCI_STR(member->address));
		return -1;
	}
	if (override[0] == '\0' || strcmp(override, member->driver) == 0)
		return 0;
	job_end(job, OP_REFUSED, 0, "somebody else steers %s to driver %s by driver_override",
		PCI_STR(member->address), override);
	job->result.reason = OP_REASON_FOREIGN;
	return -1;
}

static int check_drivers(struct job *job, const struct plan *plan)
{
	int r = tree_exists(&job->host.sysfs, "bus/pci/drivers/" PCI_VFIO);

	if (r <= 0) {
		job_end(job, r < 0 ? OP_KERNEL : OP_REFUSED, r,
			"there is no driver vfio-pci: load it with \"modprobe vfio-pci\"");
		return -1;
	}
	for (size_t i = 0; i < plan->member_count; i++)
		if (plan->members[i].role == OP_MEMBER_MOVES &&
		    check_override(job, &plan->members[i]) < 0)
			return -1;
	return 0;
}

/* 3. Whether anybody uses it: through VFIO, if an administrator bound it, or its host driver. */
static int check_unused(struct job *job, const struct plan *plan)
{
	struct device device = { .iommu_group = plan->iommu_group };
	bool is_bound = false;
	int held = -1;

	for (size_t i = 0; i < plan->member_count; i++)
		is_bound |= pci_is_vfio_driver(plan->members[i].driver);
	snprintf(device.path, sizeof(device.path), "%s", PCI_STR(plan->gpu));
	snprintf(device.text, sizeof(device.text), "GPU %s", device.path);
	snprintf(device.tag, sizeof(device.tag), "/%s", device.path);
	if (is_bound && claim_take(job, &device, &held) < 0)
		return -1;
	if (held >= 0)
		close(held);
	return gpu_holders_rule_out(job, plan);
}

static void fill_entry(const struct op_request *request, const struct plan *plan,
		       struct journal_entry *ret)
{
	*ret = (struct journal_entry){ .kind = JOURNAL_BINDING, .parent = request->parent };
	strcpy(ret->uuid, request->uuid);
	for (size_t i = 0; i < plan->member_count; i++) {
		const struct op_group_member *member = &plan->members[i];

		if (member->role != OP_MEMBER_MOVES)
			continue;
		ret->functions[member->address.function].moved = true;
		strcpy(ret->functions[member->address.function].driver, member->driver);
	}
}

static void end_failed(struct job *job, const struct journal_entry *entry, struct pci_addr failed,
		       int error)
{
	struct pci_addr stays;
	int r = binding_release(&job->host, entry, &stays);

	if (r == 0)
		r = binding_give_back(&job->host, entry, &stays);
	if (r == 0) {
		job_note(job, entry, JOURNAL_FAILED);
		job_end(job, OP_KERNEL, error, "cannot bind %s to vfio-pci", PCI_STR(failed));
	} else {
		job_end(job, OP_UNVERIFIED, error,
			"cannot bind %s to vfio-pci, and %s has not got its driver back",
			PCI_STR(failed), PCI_STR(stays));
	}
}

/* The node is root's until it is granted; without one the binding is of no use. */
static int take_node(struct job *job, uint32_t group)
{
	struct node node = NODE_CLOSED;
	int r;

	node_settle(&job->host);
	r = node_open(&job->host, group, &node);
	if (r == 0)
		r = node_grant(&node, 0);
	node_close(&node);
	return r;
}

static void do_bind(struct job *job, const struct plan *plan, const struct journal_entry *entry)
{
	struct pci_addr failed = entry->parent;
	int r = binding_move(&job->host, entry, &failed);

	if (r == 0)
		r = take_node(job, plan->iommu_group);
	if (r == 0 && binding_state(&job->host, entry) != BINDING_BOUND)
		r = -ENODEV;
	if (r < 0) {
		end_failed(job, entry, failed, r);
		return;
	}
	job_note(job, entry, JOURNAL_CREATED);
	log_info("bound GPU %s to vfio-pci, group %u", PCI_STR(entry->parent), plan->iommu_group);
	restore_send_binding(job, entry);
	job_end(job, OP_OK, 0, "bound GPU %s to vfio-pci", PCI_STR(entry->parent));
}

void bind_run(struct job *job)
{
	struct journal_entry entry;
	struct plan plan;

	if (check_plan(job, &plan) < 0 || check_drivers(job, &plan) < 0 ||
	    check_unused(job, &plan) < 0)
		return;
	fill_entry(&job->request, &plan, &entry);
	if (job_begin(job, &entry) == 0)
		do_bind(job, &plan, &entry);
}
