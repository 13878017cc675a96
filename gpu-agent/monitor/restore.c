/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OP_RESTORE_DRIVER and OP_RESET: of what root's journal says it bound.
 *
 * The claim of the VFIO node is held across the reset and the unbind, which the kernel would block
 * while a guest has the GPU.
 */
#include "restore.h"

#include <errno.h>
#include <string.h>

#include "binding.h"
#include "claim.h"
#include "common/log.h"
#include "pci.h"

void restore_send_binding(struct job *job, const struct journal_entry *entry)
{
	const struct tree *sysfs = &job->host.sysfs;
	struct op_record record;
	struct op_binding *binding = &record.binding;

	job_record_init(&record, OP_RECORD_BINDING);
	strcpy(binding->uuid, entry->uuid);
	binding->address = entry->parent;
	if (pci_read_group(sysfs, PCI_STR(entry->parent), &binding->iommu_group) < 0)
		binding->iommu_group = OPS_NO_GROUP;
	binding->is_bound = binding_state(&job->host, entry) == BINDING_BOUND;
	binding->has_reset = tree_exists(sysfs, PCI "/reset", PCI_STR(entry->parent)) == 1;
	for (int i = 0; i < JOURNAL_FUNCTIONS; i++)
		binding->function_count += entry->functions[i].moved;
	strcpy(binding->driver, entry->functions[entry->parent.function].driver);
	job_send(job, &record);
}

/*
 * Nobody may use the GPU through VFIO. When it is not bound any more its group's node, if there
 * is one, is no business of ours.
 */
static int take(struct job *job, const struct journal_entry *entry, const struct device *device,
		int *ret_held)
{
	char driver[OPS_DRIVER_MAX];
	bool has_vfio = false;

	*ret_held = -1;
	for (int i = 0; i < JOURNAL_FUNCTIONS; i++)
		if (entry->functions[i].moved &&
		    pci_read_driver(&job->host.sysfs, binding_address(entry, i), driver) == 0)
			has_vfio |= pci_is_vfio_driver(driver);
	return has_vfio ? claim_take(job, device, ret_held) : 0;
}

void restore_run(struct job *job)
{
	struct journal_entry entry;
	struct device device;
	struct pci_addr failed = job->request.parent;
	int held;
	int r = device_find_ours(job, JOURNAL_BINDING, &entry, &device);

	if (r == 0 && entry.state == JOURNAL_CREATED)
		job_note(job, &entry, JOURNAL_REMOVED); /* unplugged */
	if (r <= 0)
		return;
	if (entry.state == JOURNAL_INTENT && writer_is_alive(entry.writer)) {
		job_end(job, OP_IN_USE, 0, "the worker that binds %s is still at it", device.text);
		return;
	}
	if (take(job, &entry, &device, &held) < 0)
		return;
	r = binding_release(&job->host, &entry, &failed);
	if (held >= 0)
		close(held); /* nothing is left that could be opened by the node */
	if (r == 0)
		r = binding_give_back(&job->host, &entry, &failed);
	if (r < 0) {
		/* The entry stays: it can be tried again, when the driver is loaded for one. */
		job_end(job, OP_UNVERIFIED, r, "%s has not got driver '%s' back", PCI_STR(failed),
			entry.functions[failed.function].driver);
		return;
	}
	job_note(job, &entry, JOURNAL_REMOVED);
	log_info("gave GPU %s back to driver '%s'", PCI_STR(entry.parent),
		 entry.functions[entry.parent.function].driver);
	job_end(job, OP_OK, 0, "gave %s back to its driver", device.text);
}

void reset_run(struct job *job)
{
	struct journal_entry entry;
	struct device device;
	scoped_fd int held = -1;
	int r;

	if (device_find_ours(job, JOURNAL_BINDING, &entry, &device) <= 0)
		return;
	if (binding_state(&job->host, &entry) != BINDING_BOUND) {
		job_end(job, OP_REFUSED, 0, "%s is not bound to vfio-pci", device.text);
		return;
	}
	r = tree_exists(&job->host.sysfs, PCI "/reset", device.path);
	if (r == 0) {
		job_end(job, OP_UNSUPPORTED, 0,
			"%s has no reset method: its memory may keep what the last guest left",
			device.text);
		return;
	}
	if (claim_take(job, &device, &held) < 0)
		return;
	r = tree_write(&job->host.sysfs, "1", PCI "/reset", device.path);
	if (r < 0) {
		job_end(job, OP_KERNEL, r, "cannot reset %s", device.text);
		return;
	}
	log_info("reset %s", device.text);
	job_end(job, OP_OK, 0, "reset %s", device.text);
}
