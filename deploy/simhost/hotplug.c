/* SPDX-License-Identifier: Apache-2.0 */
#include "hotplug.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "group.h"

static void function_leave(struct host *host, struct function *function)
{
	if (function->is_absent)
		return;
	driver_drop(host, function);
	function->is_absent = true;
	function->override[0] = '\0';
	group_drop_device(function->group);
	event_add(host, "remove", "pci", "%s", function_path(function).s);
}

static void function_join(struct host *host, struct function *function)
{
	const struct board *board = function->gpu->board;

	if (!function->is_absent)
		return;
	function->is_absent = false;
	strcpy(function->reset_method, function->kind == FUNCTION_VIRTUAL ? board->vf_reset_method
				       : function->kind == FUNCTION_PHYSICAL ? board->reset_method
									     : "");
	group_add_device(function->group);
	event_add(host, "add", "pci", "%s", function_path(function).s);
	(void)driver_probe(host, function);
}

static bool gpu_has(const struct gpu *gpu, const struct function *function)
{
	return function->gpu == gpu && function != gpu->physical;
}

/* Last first, as a device's functions are taken away. */
int hotplug_remove(struct host *host, struct function *slot)
{
	if (slot->is_absent)
		return -ENODEV;
	for (size_t i = host->function_count; i-- > 0;)
		if (slot->kind == FUNCTION_PHYSICAL && gpu_has(slot->gpu, &host->functions[i]))
			function_leave(host, &host->functions[i]);
	function_leave(host, slot);
	return 0;
}

int hotplug_add(struct host *host, struct function *slot)
{
	if (!slot->is_absent)
		return -EEXIST;
	if (slot->kind == FUNCTION_VIRTUAL && slot->gpu->physical->is_absent)
		return -ENODEV;
	function_join(host, slot);
	for (size_t i = 0; i < host->function_count; i++)
		if (slot->kind == FUNCTION_PHYSICAL && gpu_has(slot->gpu, &host->functions[i]))
			function_join(host, &host->functions[i]);
	return 0;
}

int hotplug_enable_vfs(struct host *host, struct gpu *gpu)
{
	const struct function *physical = gpu->physical;
	bool is_new = false;

	if (physical->is_absent || physical->driver != physical->default_driver ||
	    physical->is_unbinding || gpu->mode == SPEC_PASSTHROUGH || gpu->board->vfs == 0)
		return -ENODEV;
	for (size_t i = 0; i < host->function_count; i++) {
		struct function *function = &host->functions[i];

		if (!gpu_has(gpu, function) || !function->is_absent)
			continue;
		is_new = true;
		function_join(host, function);
	}
	return is_new ? 0 : -EEXIST;
}

void hotplug_disable_vfs(struct host *host, struct gpu *gpu)
{
	for (size_t i = host->function_count; i-- > 0;)
		if (gpu_has(gpu, &host->functions[i]) &&
		    host->functions[i].kind == FUNCTION_VIRTUAL)
			function_leave(host, &host->functions[i]);
}
