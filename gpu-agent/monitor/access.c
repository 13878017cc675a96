/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_GRANT_NODE, OP_REVOKE_NODE, OP_FIND_HOLDERS.
 *
 * A grant is to a group, never to an owner: an owner inside a VM's jail could change the mode.
 */
#include "access.h"

#include "binding.h"
#include "common/log.h"
#include "device.h"
#include "node.h"

/* A GPU that is half bound has no node of its own, and what is there may be a neighbour's. */
static int check_bound(struct job *job, const struct journal_entry *entry)
{
	int state;

	if (entry->kind != JOURNAL_BINDING)
		return 0;
	state = binding_state(&job->host, entry);
	if (state == BINDING_BOUND)
		return 0;
	if (state < 0)
		job_end(job, OP_KERNEL, state, "cannot read the drivers of GPU %s",
			PCI_STR(entry->parent));
	else
		job_end(job, OP_REFUSED, 0, "GPU %s is not bound to vfio-pci",
			PCI_STR(entry->parent));
	return -1;
}

static int find_node(struct job *job, struct device *ret_device, struct node *ret)
{
	struct journal_entry entry;
	int r;

	if (device_find_ours(job, 0, &entry, ret_device) <= 0 || check_bound(job, &entry) < 0)
		return -1;
	if (ret_device->iommu_group == OPS_NO_GROUP) {
		job_end(job, OP_NOT_FOUND, 0, "%s has no IOMMU group: no VFIO driver has it",
			ret_device->text);
		return -1;
	}
	r = node_open(&job->host, ret_device->iommu_group, ret);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot use the node of %s, group %u", ret_device->text,
			ret_device->iommu_group);
		return -1;
	}
	return 0;
}

/*
 * udev runs its rules for a new device some time after the kernel made it, and rules for
 * SUBSYSTEM=="vfio" are common: what was granted is looked at again once udev is done, and
 * granted a second time if need be. The node is opened anew, for a rebind makes a new one.
 */
static int settle(struct job *job, const struct device *device, gid_t gid)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		struct node node = NODE_CLOSED;
		int r;

		node_settle(&job->host);
		r = node_open(&job->host, device->iommu_group, &node);
		if (r == 0)
			r = node_is_granted(&node, gid);
		if (r == 0 && attempt == 0)
			(void)node_grant(&node, gid); /* the next look will tell */
		node_close(&node);
		if (r < 0) {
			job_end(job, OP_KERNEL, r, "cannot look at the node of %s", device->text);
			return -1;
		}
		if (r > 0)
			return 0;
	}
	job_end(job, OP_UNVERIFIED, 0,
		"the node of group %u does not keep its owner and mode: is there a udev rule for "
		"SUBSYSTEM==\"vfio\"?",
		device->iommu_group);
	return -1;
}

static void set_access(struct job *job, gid_t gid)
{
	struct node node = NODE_CLOSED;
	struct device device;
	int r;

	if (find_node(job, &device, &node) < 0)
		return;
	r = node_grant(&node, gid);
	node_close(&node);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot change the node of %s, group %u", device.text,
			device.iommu_group);
		return;
	}
	if (settle(job, &device, gid) < 0)
		return;
	log_info("node of group %u (%s) is for group id %u", device.iommu_group, device.text, gid);
	job_end(job, OP_OK, 0, "node of group %u is for group id %u", device.iommu_group, gid);
}

void access_grant_run(struct job *job)
{
	if (!policy_may_grant(job->policy, job->request.gid)) {
		job_end(job, OP_REFUSED, 0, "group id %u is not within grant-gids",
			job->request.gid);
		return;
	}
	set_access(job, job->request.gid);
}

void access_revoke_run(struct job *job)
{
	set_access(job, 0);
}

void access_send_holders(struct job *job, const struct holders *holders)
{
	for (size_t i = 0; i < holders->count; i++) {
		struct op_record record;

		job_record_init(&record, OP_RECORD_HOLDER);
		record.holder = holders->items[i];
		job_send(job, &record);
	}
}

void access_holders_run(struct job *job)
{
	struct journal_entry entry;
	struct holders holders;
	struct device device;
	int r;

	if (device_find_ours(job, 0, &entry, &device) <= 0)
		return;
	r = holders_find(&job->host, &device, &holders);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot tell who uses %s", device.text);
		return;
	}
	access_send_holders(job, &holders);
	job_end(job, OP_OK, 0, "%zu processes have %s open%s", holders.count, device.text,
		holders.incomplete ? ", and some cannot be looked at" : "");
}
