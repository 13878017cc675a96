/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether KVM really works here. That /dev/kvm opens says little: under some hypervisors it
 * does and yet no kernel gets through its boot. So our kernel is booted once, as a VM would.
 */

#ifndef INSTANCE_SVC_ACCEL_H
#define INSTANCE_SVC_ACCEL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* 0, or -1 with the reason, and the fix where there is one. Takes up to 30 s. */
int accel_try_kvm(const char *kernel, const char *initramfs, const volatile bool *cancelled,
		  struct err *err);

/* What QEMU's alias "q35" stands for now: a saved memory needs the same machine again. */
int accel_find_machine(char *ret, size_t size, struct err *err);

#endif
