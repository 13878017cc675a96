/* SPDX-License-Identifier: Apache-2.0 */
#include "mdev.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

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

static size_t type_index(const struct function *parent, const struct board_type *type)
{
	return (size_t)(type - parent->gpu->board->types);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t mdev_available(const struct function *parent, const struct board_type *type)
{
	const struct gpu *gpu = parent->gpu;
	uint64_t by_type = type->max_instance - gpu->type_counts[type_index(parent, type)];
	uint64_t by_memory = (gpu->board->framebuffer_mb - gpu->used_mb) / type->framebuffer_mb;
	uint64_t available = least(by_type, by_memory);

	if (gpu->board->sharing == BOARD_EQUAL_SIZE && gpu->mdev_count > 0 &&
	    gpu->size_mb != type->framebuffer_mb)
		return 0;
	if (parent->kind == FUNCTION_VIRTUAL)
		return parent->mdev_count > 0 ? 0 : least(available, 1);
	return available;
}

static uint32_t serial_next(struct host *host)
{
	do
		host->last_mdev_serial = host->last_mdev_serial % SERIAL_MAX + 1;
	while (host_find_mdev(host, host->last_mdev_serial));
	return host->last_mdev_serial;
}

/* What the driver may refuse; on success *ret is in the host. */
static int mdev_add(struct host *host, struct function *parent, const struct board_type *type,
		    const char *uuid, struct mdev **ret)
{
	struct gpu *gpu = parent->gpu;
	struct mdev *mdev;

	if (host_find_uuid(host, uuid))
		return -EEXIST;
	if (!function_is_mdev_parent(parent))
		return -ENODEV;
	if (parent->faults.create_eio > 0) {
		parent->faults.create_eio--;
		return -EIO;
	}
	if (mdev_available(parent, type) == 0)
		return -gpu->board->refusal;
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
	group_add_vfio_user(host, mdev->group);
	gpu->mdev_count++;
	gpu->type_counts[type_index(parent, type)]++;
	gpu->used_mb += type->framebuffer_mb;
	gpu->size_mb = type->framebuffer_mb;
	parent->mdev_count++;
	mdev->next = host->mdevs;
	host->mdevs = mdev;
	*ret = mdev;
	return 0;
}

static int create_later(struct host *host, struct function *parent, const struct board_type *type,
			const char *uuid, struct waiter *waiter)
{
	struct late_create *late = calloc(1, sizeof(*late));

	if (!late)
		return -ENOMEM;
	late->parent = parent;
	late->type = type;
	late->waiter = waiter;
	strcpy(late->uuid, uuid);
	late->next = host->late_creates;
	host->late_creates = late;
	return HOST_PENDING;
}

int mdev_create(struct host *host, struct function *parent, const struct board_type *type,
		const char *text, size_t length, struct waiter *waiter)
{
	char uuid[HOST_UUID_SIZE];
	struct mdev *mdev;
	int r;

	r = uuid_parse(text, length, uuid);
	if (r < 0)
		return r;
	if (parent->faults.create_hang_before)
		return create_later(host, parent, type, uuid, waiter);
	r = mdev_add(host, parent, type, uuid, &mdev);
	if (r < 0 || !parent->faults.create_hang)
		return r;
	mdev->creator = waiter;
	return HOST_PENDING;
}

static void waiter_end(struct waiter **waiter, int result)
{
	struct waiter *ended = TAKE_PTR(*waiter);

	if (ended)
		ended->done(ended, result);
}

static void mdev_finish(struct host *host, struct mdev *mdev)
{
	struct gpu *gpu = mdev->parent->gpu;
	struct mdev **link = &host->mdevs;

	while (*link != mdev)
		link = &(*link)->next;
	*link = mdev->next;
	gpu->mdev_count--;
	gpu->type_counts[type_index(mdev->parent, mdev->type)]--;
	gpu->used_mb -= mdev->type->framebuffer_mb;
	mdev->parent->mdev_count--;
	group_free(host, mdev->group);
	waiter_end(&mdev->creator, 0);
	waiter_end(&mdev->remover, 0);
	free(mdev);
}

int mdev_remove(struct host *host, struct mdev *mdev, const struct process *writer,
		struct waiter *waiter)
{
	if (mdev->state == MDEV_REMOVING)
		return -ENODEV;
	mdev->state = MDEV_REMOVING;
	if (group_is_held_against(mdev->group, writer) || mdev->parent->faults.remove_hang) {
		mdev->remover = waiter;
		return HOST_PENDING;
	}
	mdev_finish(host, mdev);
	return 0;
}

void mdev_resume(struct host *host, struct group *group)
{
	for (struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next) {
		if (mdev->group != group)
			continue;
		if (mdev->state == MDEV_REMOVING && !mdev->parent->faults.remove_hang)
			mdev_finish(host, mdev);
		return;
	}
}

static void late_creates_run(struct host *host)
{
	struct late_create *late;
	struct mdev *mdev;

	while ((late = host->late_creates) != NULL) {
		host->late_creates = late->next;
		waiter_end(&late->waiter,
			   mdev_add(host, late->parent, late->type, late->uuid, &mdev));
		free(late);
	}
}

void mdev_end_faults(struct host *host)
{
	struct mdev *mdev, *next;

	for (size_t i = 0; i < host->function_count; i++)
		host->functions[i].faults = (struct faults){ 0 };
	for (mdev = host->mdevs; mdev; mdev = next) {
		next = mdev->next;
		waiter_end(&mdev->creator, 0);
		if (mdev->state == MDEV_REMOVING && !mdev->group->is_held)
			mdev_finish(host, mdev);
	}
	late_creates_run(host);
}
