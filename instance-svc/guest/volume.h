/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volumes of a config. Init mounts them for itself, where it can unmount them in the end;
 * the command's namespace gets each mount a second time, at its place in the image.
 */

#ifndef INSTANCE_SVC_GUEST_VOLUME_H
#define INSTANCE_SVC_GUEST_VOLUME_H

#include "common/err.h"
#include "config.h"

/* Init: mounts every volume out of the command's sight. */
int volume_mount_all(const struct guest_config *config, struct err *err);

/* Init, when the command's namespace is gone: leaves clean file systems. */
void volume_unmount_all(const struct guest_config *config);

/* Mounts that are nowhere yet: descriptors, -1 beyond the last. */
struct volume_trees {
	int fds[GUEST_VOLUMES_MAX];
};

/* Before the root is switched. */
int volume_take(const struct guest_config *config, struct volume_trees *ret, struct err *err);

/* After it. Closes the descriptors. */
int volume_place(const struct guest_config *config, struct volume_trees *take_trees,
		 struct err *err);

#endif
