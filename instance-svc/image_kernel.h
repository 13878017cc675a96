/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that an image carries in its /boot. It is taken out when the image is unpacked, by
 * image-kernel (instance-svc/guest/) in the jail that unpacks, and lies beside the disk:
 *
 *   <digest>.vmlinuz, <digest>.initramfs    what boots it: the initramfs has our init and the
 *                                           image's modules
 *   <digest>.nokernel                       or why there is none, one sentence
 */

#ifndef INSTANCE_SVC_IMAGE_KERNEL_H
#define INSTANCE_SVC_IMAGE_KERNEL_H

#include <stdbool.h>

#include "common/err.h"
#include "image.h"
#include "image_work.h"
#include "kernels.h"

/*
 * From WORK/rootfs to WORK/kernel/ or WORK/nokernel. An image that has no kernel, or one that
 * cannot be booted, is no error; a full disk or a caller who gave up is.
 */
int image_kernel_take(const struct image_work *work, const struct image_store_options *options,
		      const volatile bool *cancelled, struct err *err);

/* Beside the disk of this image. ERR_FAILED_PRECONDITION says why there is none. */
int image_kernel_find(const char *reference, const char *disk_path, struct kernel_paths *ret,
		      struct err *err);

#endif
