/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to instances and what they hold, as events. */
#include "instances_internal.h"

typedef Hypeman__Instance__V1__Event wire_event;

/* An event's texts are only read; protobuf-c has no const for them. */
#define TEXT(text) ((char *)(uintptr_t)(text))

static wire_event about(const struct instance *instance, const char *type)
{
	wire_event event = HYPEMAN__INSTANCE__V1__EVENT__INIT;

	event.type = TEXT(type);
	event.instance_id = TEXT(instance->record.id.s);
	event.instance_name = TEXT(instance->spec->name);
	return event;
}

void instance_tell(struct instance *instance, const char *type)
{
	wire_event event = about(instance, type);

	events_publish(instance->all->options.events, &event);
}

void instance_tell_state(struct instance *instance, enum instance_state previous)
{
	wire_event event = about(instance, EVENT_INSTANCE_STATE);

	if (instance->record.dropped)
		return; /* its creation was refused: nobody has heard of it */
	event.state = (Hypeman__Instance__V1__InstanceState)instance->record.state;
	event.previous_state = (Hypeman__Instance__V1__InstanceState)previous;
	if (instance->record.state_error[0]) {
		event.state_error_opt_case =
			HYPEMAN__INSTANCE__V1__EVENT__STATE_ERROR_OPT_STATE_ERROR;
		event.state_error = instance->record.state_error;
	}
	events_publish(instance->all->options.events, &event);
}

void instance_tell_gpu(struct instance *instance, const char *type, const struct gpu_lease *lease)
{
	wire_event event = about(instance, type);
	Hypeman__Instance__V1__InstanceGpu gpu = HYPEMAN__INSTANCE__V1__INSTANCE_GPU__INIT;

	gpu.profile = TEXT(lease->profile);
	if (lease->mdev_uuid.s[0]) {
		gpu.mdev_uuid_opt_case =
			HYPEMAN__INSTANCE__V1__INSTANCE_GPU__MDEV_UUID_OPT_MDEV_UUID;
		gpu.mdev_uuid = TEXT(lease->mdev_uuid.s);
	}
	gpu.pci_address_opt_case = HYPEMAN__INSTANCE__V1__INSTANCE_GPU__PCI_ADDRESS_OPT_PCI_ADDRESS;
	gpu.pci_address = TEXT(lease->pci_address);
	gpu.framebuffer_mb = lease->framebuffer_mb;
	gpu.simulated = lease->simulated;
	event.gpu = &gpu;
	events_publish(instance->all->options.events, &event);
}
