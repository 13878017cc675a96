/* SPDX-License-Identifier: Apache-2.0 */
#include "mdev.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "capacity.h"
#include "group.h"

#define UUID_LENGTH 36
#define SERIAL_MAX  0xffffffu /* the tree packs a serial into 24 bits */

/* The 37th byte is not looked at: so does the kernel. */
static int uuid_parse(const char *text, size_t length, char ret[static HOST_UUID_SIZE])
{
	if (length < UUID_LENGTH || length > UUID_LENGTH + 1)
		return -EINVAL;
	for (size_t i = 0; i < UUID_LENGTH; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return -EINVAL;
		ret[i] = (char)tolower((unsigned char)text[i]);
	}
	ret[UUID_LENGTH] = '\0';
	return 0;
}

uint64_t mdev_available(const struct function *parent, const struct board_type *type)
{
	if (parent->faults.lies)
		return parent->kind == FUNCTION_VIRTUAL ? 1 : type->max_instance;
	return capacity_of_parent(parent, type);
}

static uint32_t serial_next(struct host *host)
{
	do
		host->last_mdev_serial = host->last_mdev_serial % SERIAL_MAX + 1;
	while (host_find_mdev(host, host->last_mdev_serial));
	return host->last_mdev_serial;
}

/* What the driver may refuse. */
static int mdev_add(struct host *host, struct function *parent, const struct board_type *type,
		    const char *uuid)
{
	struct mdev *mdev;

	if (host_find_uuid(host, uuid))
		return -EEXIST;
	if (!function_is_mdev_parent(parent))
		return -ENODEV;
	if (parent->faults.lies || capacity_of_parent(parent, type) == 0)
		return -parent->gpu->board->refusal;
	mdev = calloc(1, sizeof(*mdev));
	if (!mdev)
		return -ENOMEM;
	mdev->group = group_new(host);
	if (!mdev->group) {
		free(mdev);
		return -ENOMEM;
	}
	strcpy(mdev->uuid, uuid);
	mdev->serial = serial_next(host);
	mdev->vfio_number = host_free_vfio_number(host);
	mdev->parent = parent;
	mdev->type = type;
	group_add_device(mdev->group);
	group_add_vfio_user(host, mdev->group);
	capacity_take(parent->gpu, type);
	parent->mdev_count++;
	mdev->next = host->mdevs;
	host->mdevs = mdev;
	event_add(host, "add", "mdev", "%s/%s", function_path(parent).s, uuid);
	return 0;
}

int mdev_create(struct host *host, struct function *parent, const struct board_type *type,
		const char *text, size_t length)
{
	char uuid[HOST_UUID_SIZE];
	int r;

	r = uuid_parse(text, length, uuid);
	return r < 0 ? r : mdev_add(host, parent, type, uuid);
}

static void mdev_finish(struct host *host, struct mdev *mdev)
{
	struct waiter *remover = TAKE_PTR(mdev->remover);
	struct mdev **link = &host->mdevs;

	while (*link != mdev)
		link = &(*link)->next;
	*link = mdev->next;
	capacity_give(mdev->parent->gpu, mdev->type);
	mdev->parent->mdev_count--;
	group_drop_vfio_user(host, mdev->group);
	group_free(host, mdev->group);
	event_add(host, "remove", "mdev", "%s/%s", function_path(mdev->parent).s, mdev->uuid);
	free(mdev);
	if (remover)
		remover->done(remover, 0);
}

int mdev_remove(struct host *host, struct mdev *mdev, const struct process *writer,
		struct waiter *waiter)
{
	if (mdev->state == MDEV_REMOVING)
		return -ENODEV;
	mdev->state = MDEV_REMOVING;
	mdev->removing_process = *writer;
	event_add(host, "unbind", "mdev", "%s/%s", function_path(mdev->parent).s, mdev->uuid);
	if (group_is_held_against(mdev->group, writer) ||
	    mdev->parent->faults.ops[OP_REMOVE].hang) {
		mdev->remover = waiter;
		return HOST_PENDING;
	}
	mdev_finish(host, mdev);
	return 0;
}

void mdev_remove_under(struct host *host, const struct function *over, const struct process *writer)
{
	struct mdev *mdev, *next;

	for (mdev = host->mdevs; mdev; mdev = next) {
		next = mdev->next;
		if (function_is_over(over, mdev->parent))
			(void)mdev_remove(host, mdev, writer, NULL);
	}
}

void mdev_drop_of(struct host *host, const struct function *parent)
{
	struct mdev *mdev, *next;

	for (mdev = host->mdevs; mdev; mdev = next) {
		next = mdev->next;
		if (mdev->parent == parent)
			mdev_finish(host, mdev);
	}
}

static void mdev_try_finish(struct host *host, struct mdev *mdev)
{
	if (mdev->state == MDEV_REMOVING &&
	    !group_is_held_against(mdev->group, &mdev->removing_process) &&
	    !mdev->parent->faults.ops[OP_REMOVE].hang)
		mdev_finish(host, mdev);
}

void mdev_resume(struct host *host, struct group *group)
{
	struct mdev *mdev = mdev_of_group(host, group);

	if (mdev)
		mdev_try_finish(host, mdev);
}

void mdev_resume_all(struct host *host)
{
	struct mdev *mdev, *next;

	for (mdev = host->mdevs; mdev; mdev = next) {
		next = mdev->next;
		mdev_try_finish(host, mdev);
	}
}

struct mdev *mdev_of_group(const struct host *host, const struct group *group)
{
	for (struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (mdev->group == group)
			return mdev;
	return NULL;
}
