/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs with virtual functions as the mdev driver of an L40S behaves, as plain data: one
 * vGPU a function, one framebuffer size a GPU, a maximum a GPU, EIO for every refusal.
 * Written from the driver's point of view, independently of capacity.c, to test it.
 */

#ifndef TESTS_GPU_SERVE_FAKE_KERNEL_H
#define TESTS_GPU_SERVE_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "gpu-agent/ops.h"

#define FAKE_GPUS_MAX 4
#define FAKE_VFS      32
#define FAKE_TYPES    7

struct fake_type {
	const char *id, *name; /* "1147", "NVIDIA L40S-1Q" */
	int framebuffer_mb, max_instance;
};

extern const struct fake_type fake_types[FAKE_TYPES];

struct fake_mdev {
	char uuid[OPS_UUID_SIZE]; /* empty: the function is free */
	int type;
	unsigned group;
	bool in_journal;
};

struct fake_kernel {
	int gpu_count;
	bool mixed_sizes; /* as after nvidia-smi vgpu -shm 1, with nothing said of what fits */
	struct fake_mdev mdevs[FAKE_GPUS_MAX][FAKE_VFS];
	unsigned next_group;
};

void fake_kernel_init(struct fake_kernel *kernel, int gpu_count);

struct pci_addr fake_gpu_address(int gpu);
struct pci_addr fake_vf_address(int gpu, int vf);
bool fake_vf_find(const struct fake_kernel *kernel, struct pci_addr address, int *gpu, int *vf);

/* As the driver answers: 0, -EIO, -EEXIST, -ENODEV. */
int fake_kernel_create(struct fake_kernel *kernel, int gpu, int vf, int type, const char *uuid);
bool fake_kernel_remove(struct fake_kernel *kernel, const char *uuid);
struct fake_mdev *fake_kernel_find(struct fake_kernel *kernel, const char *uuid);
int fake_kernel_count(const struct fake_kernel *kernel);

/* Index of the type whose directory is called so, or -1. */
int fake_type_find(const char *directory);

/* available_instances */
int fake_kernel_available(const struct fake_kernel *kernel, int gpu, int vf, int type);

/* What a scan sends; the caller frees *ret. */
size_t fake_kernel_scan(const struct fake_kernel *kernel, struct op_record **ret);

void fake_uuid(char uuid[OPS_UUID_SIZE], unsigned number);

#endif
