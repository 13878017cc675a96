/* SPDX-License-Identifier: Apache-2.0 */
#include "passthrough.h"

#include <stdarg.h>
#include <stdio.h>

static struct passthrough_text text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct passthrough_text text(const char *format, ...)
{
	struct passthrough_text t;
	va_list args;

	va_start(args, format);
	vsnprintf(t.s, sizeof(t.s), format, args);
	va_end(args);
	return t;
}

/* What the worker would say, in the words of people. */
static struct passthrough_text refusal_text(uint8_t refusal)
{
	static const char *const texts[] = {
		[OP_REASON_NONE] = "",
		[OP_REASON_POLICY] =
			"the settings device-vendor, device-class and device-address keep it from being touched",
		[OP_REASON_BOOT_DISPLAY] = "it is the boot display",
		[OP_REASON_NO_GROUP] = "it has no IOMMU group: the IOMMU is off",
		[OP_REASON_GROUP] = "its IOMMU group holds a device that cannot be moved along",
		[OP_REASON_VFS] = "its virtual functions or vGPUs are in use",
		[OP_REASON_NVSWITCH] = "it is on an NVSwitch, which needs partitions",
		[OP_REASON_FOREIGN] = "a VFIO driver has it that somebody else bound",
		[OP_REASON_UNKNOWN] = "part of its files could not be read",
	};

	if (refusal < sizeof(texts) / sizeof(texts[0]) && texts[refusal])
		return text("%s", texts[refusal]);
	return text("the worker would refuse it");
}

static struct passthrough_text holders_text(const struct functions *functions,
					    struct pci_addr address)
{
	struct passthrough_text t = { "" };
	size_t used = 0;

	for (size_t i = 0; i < functions->holder_count && used < sizeof(t.s); i++) {
		const struct op_holder *holder = &functions->holders[i];

		if (pci_addr_compare(holder->gpu, address) == 0)
			used += (size_t)snprintf(t.s + used, sizeof(t.s) - used, "%spid %d (%s)",
						 used		   ? ", "
						 : holder->certain ? "in use by "
								   : "may be in use by ",
						 holder->pid, holder->command);
	}
	return t;
}

static bool is_taken(const struct agent *agent, struct pci_addr address)
{
	for (size_t i = 0; i < agent->lease_count; i++)
		if (pci_addr_compare(agent->leases[i]->allocation.gpu, address) == 0)
			return true;
	return false;
}

struct passthrough_text passthrough_reason_locked(const struct agent *agent,
						  struct pci_addr address)
{
	const struct function *function = functions_find(agent->functions, address);

	if (!function || !function->is_bindable)
		return text("the setting device-class has no such device");
	if (inventory_is_suspect(agent->inventory, address))
		return text("the kernel does not answer for it");
	if (is_taken(agent, address))
		return text("allocated");
	if (function->bind_refusal != OP_REASON_NONE)
		return refusal_text(function->bind_refusal);
	if (!agent->functions->holders_known)
		return text("whether a process uses it is not known");
	return holders_text(agent->functions, address);
}

bool passthrough_is_available_locked(const struct agent *agent, struct pci_addr address)
{
	return passthrough_reason_locked(agent, address).s[0] == '\0';
}

void passthrough_describe_locked(const struct agent *agent, struct host_view *view)
{
	for (size_t i = 0; i < view->gpu_count; i++) {
		struct view_gpu *gpu = &view->gpus[i];
		struct passthrough_text reason;

		if (gpu->framework != FRAMEWORK_PASSTHROUGH || gpu->barred)
			continue;
		reason = passthrough_reason_locked(agent, gpu->address);
		gpu->available = reason.s[0] == '\0';
		gpu->used_slots = !gpu->available;
		snprintf(gpu->reason, sizeof(gpu->reason), "%s", reason.s);
	}
	host_view_count(view);
}
