/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which guest kernels are needed. That one is kept and that it is somebody's are one step for
 * who collects: kernels_lock, which comes before the table's.
 */
#include <string.h>

#include "image_kernel.h"
#include "instances_internal.h"

static bool is_used(void *user, const char *name)
{
	const struct instances *instances = user;

	if (strcmp(name, instances->options.host->kernel) == 0)
		return true;
	for (size_t i = 0; i < instances->count; i++)
		if (strcmp(name, instances->list[i]->record.kernel) == 0)
			return true;
	return false;
}

void instances_collect_kernels(struct instances *instances)
{
	pthread_mutex_lock(&instances->kernels_lock);
	{
		SCOPED_INSTANCES_LOCK(instances);

		kernels_collect(layout_kernels(&instances->options.host->layout).s, is_used,
				instances);
	}
	pthread_mutex_unlock(&instances->kernels_lock);
}

static int keep(struct instance *instance, const struct kernel_paths *paths, struct err *err)
{
	const struct layout *layout = &instance->all->options.host->layout;
	struct kernel_name name;

	if (kernels_keep(layout_kernels(layout).s, paths->kernel, paths->initramfs, &name, err) < 0)
		return -1;
	SCOPED_INSTANCES_LOCK(instance->all);
	memcpy(instance->record.kernel, name.s, sizeof(instance->record.kernel));
	instance_commit_locked(instance);
	return 0;
}

int instance_keep_image_kernel(struct instance *instance, const struct image *image,
			       struct err *err)
{
	struct kernel_paths paths;
	int r;

	if (image_kernel_find(image->reference, image->disk_path, &paths, err) < 0)
		return -1;
	pthread_mutex_lock(&instance->all->kernels_lock);
	r = keep(instance, &paths, err);
	pthread_mutex_unlock(&instance->all->kernels_lock);
	return r;
}
