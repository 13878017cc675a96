/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pull: what was made in its work folder becomes part of the disks' folder, by
 * rename, and on stable storage. The disk comes last, so that it never lacks the rest.
 *
 *   WORK/disk.erofs                            DISKS/<digest>.erofs
 *   the config                                 DISKS/<digest>.json
 *   WORK/kernel/vmlinuz and initramfs.cpio     DISKS/<digest>.vmlinuz and .initramfs
 *   or WORK/nokernel                           DISKS/<digest>.nokernel
 */

#ifndef INSTANCE_SVC_IMAGE_PUBLISH_H
#define INSTANCE_SVC_IMAGE_PUBLISH_H

#include <stddef.h>

#include "image_work.h"

/* A new file of ours, on stable storage: 0, or -errno. */
int image_publish_write(const char *path, const char *text, size_t length);

/* 0, or -errno. */
int image_publish(const struct image_work *work, const char *disks_folder, const char *digest,
		  const char *config, size_t config_length);

#endif
