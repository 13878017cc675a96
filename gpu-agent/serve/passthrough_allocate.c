/* SPDX-License-Identifier: Apache-2.0 */
#include "passthrough_allocate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "device.h"

/* ---- Deciding ----------------------------------------------------------------------- */

static int check_free_locked(const struct agent *agent, const struct device *device,
			     struct err *err)
{
	for (size_t i = 0; i < agent->lease_count; i++) {
		const struct allocation *other = &agent->leases[i]->allocation;

		if (pci_addr_compare(other->gpu, device->address) != 0)
			continue;
		if (other->kind == ALLOCATION_DEVICE)
			return err_set(err, ERR_DEVICE_ATTACHED, "device '%s' is attached to '%s'",
				       device->name, other->owner);
		return err_set(err, ERR_DEVICE_IN_USE, "device '%s' carries vGPUs, of '%s' for one",
			       device->name, other->owner);
	}
	return 0;
}

/* What the worker would refuse for a reason that no scan will change is refused here. */
static const struct function *find_function(const struct agent *agent, const struct device *device,
					    struct err *err)
{
	const struct function *function = functions_find(agent->functions, device->address);

	if (!function)
		err_set(err, ERR_PCI_DEVICE_NOT_FOUND, "device '%s': %s has gone from this host",
			device->name, PCI_STR(device->address));
	else if (!function->is_bindable)
		err_set(err, ERR_FAILED_PRECONDITION,
			"device '%s' (%s, class %06x) is not given away alone: the setting "
			"device-class has no such device; it goes along with a GPU of its slot",
			device->name, PCI_STR(device->address), function->class_code);
	return function && function->is_bindable ? function : NULL;
}

static void fill_allocation(struct agent *agent, const struct create_request *request,
			    const struct device *device, const struct function *function,
			    struct allocation *allocation)
{
	allocation_begin_locked(agent, request, allocation);
	allocation->kind = ALLOCATION_DEVICE;
	allocation->slot = device->address;
	allocation->gpu = device->address;
	allocation->numa_node = function->numa_node;
	strcpy(allocation->profile, request->device);
	strcpy(allocation->type, device->id);
}

struct lease *passthrough_reserve_locked(struct agent *agent, const struct create_request *request,
					 struct err *err)
{
	const struct device *device = device_find_locked(agent, request->device, err);
	const struct function *function;
	struct allocation allocation;
	struct lease *lease;

	if (!device)
		return NULL;
	if (device->leaving) {
		err_set(err, ERR_DEVICE_NOT_FOUND, "device '%s' is being unregistered",
			device->name);
		return NULL;
	}
	function = find_function(agent, device, err);
	if (!function || check_free_locked(agent, device, err))
		return NULL;
	fill_allocation(agent, request, device, function, &allocation);
	lease = lease_add_locked(agent, &allocation);
	if (!lease)
		err_sys(err, ENOMEM, "cannot keep the allocation");
	return lease;
}

/* ---- What became of it -------------------------------------------------------------- */

static enum err_reason reason_of(const struct op_result *result)
{
	switch (result->reason) {
	case OP_REASON_GROUP:
	case OP_REASON_NO_GROUP:
		return ERR_GROUP_NOT_VIABLE;
	case OP_REASON_FOREIGN:
	case OP_REASON_VFS:
	case OP_REASON_HELD:
		return ERR_DEVICE_IN_USE;
	default:
		return result->status == OP_IN_USE ? ERR_DEVICE_IN_USE : ERR_FAILED_PRECONDITION;
	}
}

/* Each holder also as a detail: a message has room for few. */
static void add_holders(const struct outcome *outcome, struct err *err)
{
	for (size_t i = 0; i < outcome->record_count; i++) {
		const struct op_holder *holder = &outcome->records[i].holder;
		char subject[32];

		if (outcome->records[i].kind != OP_RECORD_HOLDER)
			continue;
		snprintf(subject, sizeof(subject), "pid %d", holder->pid);
		err_add_detail(err, "holder", subject, "%s%s", holder->command,
			       holder->certain ? "" : " (not certain)");
	}
}

int passthrough_explain(const struct allocation *allocation, const struct outcome *outcome,
			struct err *err)
{
	const char *message = outcome->result.message;

	if (outcome->kind == OUTCOME_NOT_STARTED)
		return err_set(err, ERR_UNAVAILABLE, "cannot bind device '%s' now: %s",
			       allocation->profile, message);
	switch (outcome->result.status) {
	case OP_NOT_FOUND:
		return err_set(err, ERR_PCI_DEVICE_NOT_FOUND, "device '%s': %s",
			       allocation->profile, message);
	case OP_REFUSED:
	case OP_IN_USE:
	case OP_KERNEL:
		err_set(err, reason_of(&outcome->result), "cannot bind device '%s': %s",
			allocation->profile, message);
		add_holders(outcome, err);
		return -1;
	default:
		return err_set(err, ERR_INTERNAL, "cannot bind device '%s': %s",
			       allocation->profile, message);
	}
}

void passthrough_complete_locked(const struct agent *agent, struct allocation *allocation)
{
	const struct functions *functions = agent->functions;

	if (allocation->kind != ALLOCATION_DEVICE)
		return;
	allocation->functions = (uint8_t)(1u << allocation->slot.function);
	for (size_t i = 0; functions && i < functions->member_count; i++) {
		const struct op_group_member *member = &functions->members[i];

		if (member->role == OP_MEMBER_MOVES &&
		    pci_addr_compare(member->gpu, allocation->slot) == 0)
			allocation->functions |= (uint8_t)(1u << member->address.function);
	}
	for (size_t i = 0; i < agent->device_count; i++)
		if (strcmp(agent->devices[i].id, allocation->type) == 0)
			strcpy(allocation->reset_note, agent->devices[i].reset_note);
}

void passthrough_record_change_locked(struct agent *agent, const struct allocation *allocation,
				      bool bound)
{
	const struct op_binding *binding = functions_binding(agent->functions, allocation->id);
	const char *driver = bound ? "vfio-pci" : binding ? binding->driver : "";

	agent->bindings_from = agent_request_scan_locked(agent, 0);
	for (size_t i = 0; agent->functions && i < agent->functions->count; i++) {
		struct function *function = &agent->functions->items[i];

		if (pci_addr_compare(function->address, allocation->slot) != 0)
			continue;
		function->has_vfio_dev = bound;
		function->known_from = agent->bindings_from;
		memset(function->driver, 0, sizeof(function->driver));
		memcpy(function->driver, driver, strlen(driver));
	}
	agent_touch_locked(agent);
}

void passthrough_note_reset(struct agent *agent, const struct allocation *allocation,
			    const char *note)
{
	struct err err;
	bool news = false;

	pthread_mutex_lock(&agent->lock);
	for (size_t i = 0; i < agent->device_count; i++) {
		struct device *device = &agent->devices[i];

		if (strcmp(device->id, allocation->type) != 0)
			continue;
		news = strcmp(device->reset_note, note) != 0;
		snprintf(device->reset_note, sizeof(device->reset_note), "%s", note);
	}
	pthread_mutex_unlock(&agent->lock);
	if (note[0])
		log_warning("device '%s' was released without a reset: %s", allocation->profile,
			    note);
	if (news && registry_set_reset_note(agent->records, allocation->type, note, &err))
		log_warning("%s, how device '%s' was left is forgotten at the next start",
			    err.message, allocation->profile);
}
