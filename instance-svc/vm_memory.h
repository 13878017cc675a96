/* SPDX-License-Identifier: Apache-2.0 */
/* Where a guest's memory comes from, and whether so much of it may be locked. */

#ifndef INSTANCE_SVC_VM_MEMORY_H
#define INSTANCE_SVC_VM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct vm_memory {
	int32_t node;	/* NUMA node that it is bound to; -1: any */
	bool huge;	/* in pages of 2 MiB */
	char note[160]; /* for the instance's log: why not in huge pages; empty: it is */
};

/*
 * `sys` is "/sys". `node` is that of the GPU (-1: none): memory is bound to it where the host
 * has more than one. Huge pages are taken where enough are free, there or anywhere.
 */
struct vm_memory vm_memory_choose(const char *sys, uint64_t bytes, int32_t node);

/*
 * VFIO locks all of a guest's memory, and maps each device's own registers and memory besides:
 * `limit` is the hard RLIMIT_MEMLOCK (UINT64_MAX: none). ERR_FAILED_PRECONDITION with the
 * numbers.
 */
int vm_memory_check_lock(uint64_t limit, uint64_t bytes, size_t devices, struct err *err);

/* This process's, which QEMU inherits: the soft limit is raised to the hard one. */
uint64_t vm_memory_lock_limit(void);

#endif
