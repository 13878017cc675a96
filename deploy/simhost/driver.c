/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <errno.h>
#include <string.h>

#include "group.h"
#include "hotplug.h"
#include "mdev.h"
#include "vendor.h"

bool driver_is_vfio(const struct function *function)
{
	if (!function->driver)
		return false;
	return strcmp(function->driver, DRIVER_VFIO_PCI) == 0 || function_is_vendor_vf(function);
}

int driver_set_override(struct function *function, const char *text, size_t length)
{
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length >= sizeof(function->override))
		return -EINVAL;
	memcpy(function->override, text, length);
	function->override[length] = '\0';
	return 0;
}

static uint64_t vendor_of(const struct function *function)
{
	const struct board *board = function->gpu->board;

	return function->kind == FUNCTION_AUDIO ? board->audio_vendor : board->vendor;
}

static uint64_t device_of(const struct function *function)
{
	const struct board *board = function->gpu->board;

	return function->kind == FUNCTION_AUDIO ? board->audio_device : board->device;
}

static struct new_id *new_id_find(struct host *host, const char *driver, uint64_t vendor,
				  uint64_t device)
{
	for (size_t i = 0; i < host->new_id_count; i++) {
		struct new_id *id = &host->new_ids[i];

		if (id->driver == driver && id->vendor == vendor && id->device == device)
			return id;
	}
	return NULL;
}

/* vfio-pci has no ids of its own: it takes what is steered to it, or in its new_id. */
static bool driver_matches(struct host *host, const struct function *function, const char *driver)
{
	if (function->override[0] != '\0')
		return strcmp(function->override, driver) == 0;
	return function->default_driver == driver ||
	       new_id_find(host, driver, vendor_of(function), device_of(function));
}

/* Whether its probe succeeds: not for hardware that is not its own... */
static bool driver_takes(const struct function *function, const char *driver)
{
	if (strcmp(driver, DRIVER_VFIO_PCI) == 0)
		/* ...nor for a function that is a VFIO device of the vendor's. */
		return !(function->kind == FUNCTION_VIRTUAL && function->gpu->mode == SPEC_VENDOR);
	/* ...nor while a user space driver owns the group. */
	return driver == function->default_driver && !function->group->is_held;
}

static int driver_attach(struct host *host, struct function *function, const char *driver)
{
	uint32_t vfio_number = host_free_vfio_number(host);
	uint32_t node_minor = host_free_node_minor(host);

	if (!driver_takes(function, driver))
		return -EINVAL;
	function->driver = driver;
	if (driver_is_vfio(function)) {
		function->vfio_number = vfio_number;
		group_add_vfio_user(host, function->group);
	}
	if (function->kind == FUNCTION_PHYSICAL) {
		function->gpu->node_minor = node_minor;
		function->gpu->node_serial = ++host->last_node_serial;
	}
	event_add(host, "bind", "pci", "%s", function_path(function).s);
	return 0;
}

int driver_probe(struct host *host, struct function *function)
{
	const char *driver = function->default_driver;

	if (function->driver)
		return 0;
	if (driver_matches(host, function, driver))
		return driver_attach(host, function, driver); /* it was there first */
	for (size_t i = 0; i < host->driver_count; i++)
		if (driver_matches(host, function, host->drivers[i]))
			return driver_attach(host, function, host->drivers[i]);
	return 0;
}

int driver_bind(struct host *host, struct function *function, const char *driver)
{
	if (!driver_matches(host, function, driver))
		return -ENODEV;
	if (function->driver)
		return -EBUSY;
	return driver_attach(host, function, driver);
}

/* Nothing holds the function back any more. */
static void driver_detach(struct host *host, struct function *function)
{
	struct waiter *unbinder = TAKE_PTR(function->unbinder);

	vendor_forget(host, function);
	if (driver_is_vfio(function))
		group_drop_vfio_user(host, function->group);
	if (function->kind == FUNCTION_PHYSICAL) {
		hotplug_disable_vfs(host, function->gpu);
		function->gpu->node_opens = function->gpu->control_opens = 0;
	}
	function->driver = NULL;
	function->is_unbinding = false;
	event_add(host, "unbind", "pci", "%s", function_path(function).s);
	if (unbinder)
		unbinder->done(unbinder, 0);
}

static bool unbind_is_blocked(const struct host *host, const struct function *function)
{
	if (function->faults.ops[OP_UNBIND].hang)
		return true;
	if (function->kind == FUNCTION_PHYSICAL && function->gpu->node_opens > 0)
		return true;
	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (function_is_over(function, mdev->parent))
			return true; /* those that nobody holds have gone */
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *below = &host->functions[i];

		if (function_is_over(function, below) && driver_is_vfio(below) &&
		    group_is_held_against(below->group, &function->unbinding_process))
			return true;
	}
	return false;
}

int driver_unbind(struct host *host, struct function *function, const char *driver,
		  const struct process *writer, struct waiter *waiter)
{
	if (!driver || function->driver != driver || function->is_unbinding)
		return -ENODEV;
	function->is_unbinding = true;
	function->unbinding_process = *writer;
	mdev_remove_under(host, function, writer);
	if (unbind_is_blocked(host, function)) {
		function->unbinder = waiter;
		return HOST_PENDING;
	}
	driver_detach(host, function);
	return 0;
}

void driver_resume(struct host *host)
{
	for (size_t i = 0; i < host->function_count; i++) {
		struct function *function = &host->functions[i];

		if (function->is_unbinding && !unbind_is_blocked(host, function))
			driver_detach(host, function);
	}
}

void driver_drop(struct host *host, struct function *function)
{
	mdev_drop_of(host, function);
	if (function->driver)
		driver_detach(host, function);
}

int driver_add_id(struct host *host, const char *driver, uint64_t vendor, uint64_t device)
{
	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *function = &host->functions[i];

		if (vendor_of(function) == vendor && device_of(function) == device &&
		    function->default_driver == driver)
			return -EEXIST;
	}
	if (new_id_find(host, driver, vendor, device))
		return -EEXIST;
	if (host->new_id_count == HOST_NEW_IDS_MAX)
		return -ENOSPC;
	host->new_ids[host->new_id_count++] = (struct new_id){ driver, vendor, device };
	for (size_t i = 0; i < host->function_count; i++) {
		struct function *function = &host->functions[i];

		if (!function->is_absent && !function->driver &&
		    driver_matches(host, function, driver))
			(void)driver_attach(host, function, driver);
	}
	return 0;
}

int driver_remove_id(struct host *host, const char *driver, uint64_t vendor, uint64_t device)
{
	struct new_id *id = new_id_find(host, driver, vendor, device);

	if (!id)
		return -ENODEV;
	*id = host->new_ids[--host->new_id_count];
	return 0;
}
