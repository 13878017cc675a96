/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest kernels that instances boot, kept for as long as one of them does: what is
 * installed may be replaced at any time, and an instance goes on with what it began with.
 *
 *   STATE/kernels/NAME/vmlinux, initramfs.cpio    whole, and never changed
 *
 * A name is the kernel's release and a mark of both files: "6.1.0-56-cloud-amd64.5f0c1e2ab3d4".
 */

#ifndef INSTANCE_SVC_KERNELS_H
#define INSTANCE_SVC_KERNELS_H

#include <limits.h>
#include <stdbool.h>

#include "common/err.h"

#define KERNEL_NAME_MAX 127

struct kernel_name {
	char s[KERNEL_NAME_MAX + 1];
};

struct kernel_paths {
	char kernel[PATH_MAX];
	char initramfs[PATH_MAX];
};

/* Keeps a copy of these two, if there is none yet. `directory` is STATE/kernels, and is made. */
int kernels_keep(const char *directory, const char *kernel, const char *initramfs,
		 struct kernel_name *ret, struct err *err);

/* ERR_NOT_FOUND. */
int kernels_find(const char *directory, const char *name, struct kernel_paths *ret,
		 struct err *err);

/* Removes those that are not `used`, and what an interrupted copy left. */
void kernels_collect(const char *directory, bool (*used)(void *user, const char *name), void *user);

/* "6.1.0-56-cloud-amd64": for people. */
struct kernel_name kernels_release(const char *name);

#endif
