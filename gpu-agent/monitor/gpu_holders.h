/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes use a GPU through its host driver: nvidia-persistenced, DCGM, a CUDA program, a
 * display server. They hold its nodes (/dev/nvidiaN, /dev/dri/..., its sound card's) open or
 * mapped, and while one does, the kernel blocks whoever takes the driver away.
 *
 * This decides, so it fails closed: a process that cannot be looked at is an error, and one that
 * has NVIDIA's nodes open without it being clear of which GPU holds each of them.
 */

#ifndef GPU_AGENT_MONITOR_GPU_HOLDERS_H
#define GPU_AGENT_MONITOR_GPU_HOLDERS_H

#include "job.h"
#include "plan.h"

/*
 * Calls found for each process and each of count GPUs (at most OPS_GPUS_MAX) that it uses, with
 * gpu filled. 0 or -errno.
 */
int gpu_holders_find(const struct host *host, const struct pci_addr *gpus, size_t count,
		     void (*found)(void *context, const struct op_holder *holder), void *context);

/* Of the functions that a bind would move: 0, or -1 and the job has ended, holders sent. */
int gpu_holders_rule_out(struct job *job, const struct plan *plan);

#endif
