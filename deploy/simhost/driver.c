/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <errno.h>
#include <string.h>

#include "group.h"

bool driver_is_vfio(const struct function *function)
{
	return function->driver && strcmp(function->driver, DRIVER_VFIO_PCI) == 0;
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

/* vfio-pci has no ids of its own: it takes what is steered to it. */
static bool driver_matches(const struct function *function, const char *driver)
{
	if (function->override[0] != '\0')
		return strcmp(function->override, driver) == 0;
	return function->default_driver == driver;
}

static int driver_attach(struct host *host, struct function *function, const char *driver)
{
	if (strcmp(driver, DRIVER_VFIO_PCI) == 0) {
		function->vfio_number = host_free_vfio_number(host);
		group_add_vfio_user(host, function->group);
	} else if (driver != function->default_driver || function->group->is_held) {
		/* Its probe fails: not its hardware, or a user space driver owns the group. */
		return -EINVAL;
	}
	function->driver = driver;
	return 0;
}

int driver_probe(struct host *host, struct function *function)
{
	if (function->driver)
		return 0;
	for (size_t i = 0; i < host->driver_count; i++)
		if (driver_matches(function, host->drivers[i]))
			return driver_attach(host, function, host->drivers[i]);
	return 0;
}

int driver_bind(struct host *host, struct function *function, const char *driver)
{
	if (!driver_matches(function, driver))
		return -ENODEV;
	if (function->driver)
		return -EBUSY;
	return driver_attach(host, function, driver);
}

static void driver_detach(struct function *function)
{
	struct waiter *unbinder = TAKE_PTR(function->unbinder);

	if (driver_is_vfio(function))
		group_drop_vfio_user(function->group);
	function->driver = NULL;
	function->is_unbinding = false;
	if (unbinder)
		unbinder->done(unbinder, 0);
}

int driver_unbind(struct function *function, const char *driver, const struct process *writer,
		  struct waiter *waiter)
{
	const struct gpu *gpu = function->gpu;

	if (function->driver != driver || function->is_unbinding)
		return -ENODEV;
	if (function->mdev_count > 0 ||
	    (function->kind == FUNCTION_PHYSICAL && gpu->has_mdev && gpu->board->vfs > 0))
		return -EBUSY;
	if (driver_is_vfio(function) && group_is_held_against(function->group, writer)) {
		function->is_unbinding = true;
		function->unbinder = waiter;
		return HOST_PENDING;
	}
	driver_detach(function);
	return 0;
}

void driver_resume(struct host *host, struct group *group)
{
	for (size_t i = 0; i < host->function_count; i++)
		if (host->functions[i].group == group && host->functions[i].is_unbinding)
			driver_detach(&host->functions[i]);
}
