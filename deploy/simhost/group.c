/* SPDX-License-Identifier: Apache-2.0 */
#include "group.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "mdev.h"
#include "vendor.h"

#define FIRST_GROUP 1

static int groups_grow(struct host *host)
{
	size_t slots = host->group_slots ? host->group_slots * 2 : 64;
	struct group **groups = realloc(host->groups, slots * sizeof(struct group *));

	if (!groups)
		return -ENOMEM;
	memset(groups + host->group_slots, 0, (slots - host->group_slots) * sizeof(*groups));
	host->groups = groups;
	host->group_slots = slots;
	return 0;
}

struct group *group_new(struct host *host)
{
	struct group *group = calloc(1, sizeof(*group));
	uint32_t number = FIRST_GROUP;

	if (!group)
		return NULL;
	while (group_find(host, number))
		number++;
	if (number >= host->group_slots && groups_grow(host) < 0) {
		free(group);
		return NULL;
	}
	group->number = number;
	host->groups[number] = group;
	return group;
}

void group_free(struct host *host, struct group *group)
{
	host->groups[group->number] = NULL;
	free(group);
}

struct group *group_find(const struct host *host, uint32_t number)
{
	return number < host->group_slots ? host->groups[number] : NULL;
}

bool group_has_node(const struct group *group)
{
	return group->vfio_users > 0;
}

void group_add_vfio_user(struct host *host, struct group *group)
{
	if (group->vfio_users++ > 0)
		return;
	group->node_serial = ++host->last_node_serial;
	group->node_mode = 0600;
	group->node_uid = 0;
	group->node_gid = 0;
	group->node_time = time(NULL);
	group->is_held = false;
	group->closed_at = 0;
	event_add(host, "add", "vfio", "/devices/virtual/vfio/%u", group->number);
}

void group_drop_vfio_user(struct host *host, struct group *group)
{
	if (--group->vfio_users > 0)
		return;
	group->is_held = false; /* a descriptor that is left opens nothing */
	event_add(host, "remove", "vfio", "/devices/virtual/vfio/%u", group->number);
}

void group_add_device(struct group *group)
{
	group->device_count++;
}

void group_drop_device(struct group *group)
{
	group->device_count--;
}

int group_open(struct host *host, struct group *group, const struct process *holder)
{
	if (!group_has_node(group) || !vendor_group_may_open(host, group))
		return -ENODEV;
	if (group->is_held)
		return -EBUSY;
	group->is_held = true;
	group->holder = *holder;
	return 0;
}

static void group_let_go(struct host *host, struct group *group)
{
	group->is_held = false;
	group->closed_at = 0;
	driver_resume(host);
	mdev_resume(host, group); /* frees the group when its vGPU goes: last */
	driver_resume(host);
}

/* What the slow-close fault of the group's device says. */
static uint32_t slow_close_ms(const struct host *host, const struct group *group)
{
	const struct mdev *mdev = mdev_of_group(host, group);

	if (mdev)
		return mdev->parent->faults.slow_close_ms;
	for (size_t i = 0; i < host->function_count; i++)
		if (host->functions[i].group == group)
			return host->functions[i].faults.slow_close_ms;
	return 0;
}

void group_close(struct host *host, uint32_t number, uint32_t node_serial)
{
	const struct process nobody = { .id = 0, .command = "closing" };
	struct group *group = group_find(host, number);
	uint32_t wait_ms;

	if (!group || !group_has_node(group) || group->node_serial != node_serial ||
	    group->closed_at != 0)
		return;
	wait_ms = slow_close_ms(host, group);
	if (wait_ms == 0) {
		group_let_go(host, group);
		return;
	}
	group->closed_at = host_now_ms(host) + wait_ms;
	group->holder = nobody;
}

void group_tick(struct host *host)
{
	for (size_t i = 0; i < host->group_slots; i++) {
		struct group *group = host->groups[i];

		if (group && group->closed_at != 0 && host_now_ms(host) >= group->closed_at)
			group_let_go(host, group);
	}
}

bool group_is_held_against(const struct group *group, const struct process *writer)
{
	return group->is_held && (group->holder.id == 0 || group->holder.id != writer->id);
}
