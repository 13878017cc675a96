/* SPDX-License-Identifier: Apache-2.0 */
#include "group.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "mdev.h"

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
}

void group_drop_vfio_user(struct group *group)
{
	if (--group->vfio_users == 0)
		group->is_held = false; /* a descriptor that is left opens nothing */
}

int group_open(struct group *group, const struct process *holder)
{
	if (!group_has_node(group))
		return -ENODEV;
	if (group->is_held)
		return -EBUSY;
	group->is_held = true;
	group->holder = *holder;
	return 0;
}

void group_close(struct host *host, uint32_t number, uint32_t node_serial)
{
	struct group *group = group_find(host, number);

	if (!group || !group_has_node(group) || group->node_serial != node_serial)
		return;
	group->is_held = false;
	driver_resume(host, group);
	mdev_resume(host, group); /* frees the group when its vGPU goes: last */
}

bool group_is_held_against(const struct group *group, const struct process *writer)
{
	return group->is_held && (group->holder.id == 0 || group->holder.id != writer->id);
}
