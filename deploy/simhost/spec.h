/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which GPUs the host has: "l40s:2,l40s:1:vendor:numa=1@0000:82:00.0". Only the form is
 * checked here; whether a board exists and an address is free, host_new() says.
 */

#ifndef SIMHOST_SPEC_H
#define SIMHOST_SPEC_H

#include <stdbool.h>

#include "bdf.h"
#include "board.h"
#include "common/err.h"

#define SPEC_GPUS_MAX 64

enum spec_mode {
	SPEC_DEFAULT, /* mdev if the board has types, else passthrough */
	SPEC_MDEV,
	SPEC_VENDOR,
	SPEC_PASSTHROUGH,
};

struct spec_gpu {
	char board[BOARD_NAME_SIZE];
	enum spec_mode mode;
	bool has_plain_list; /* vendor: creatable_vgpu_types has no header */
	bool has_same_group; /* passthrough: all GPUs of the item share one IOMMU group... */
	bool joins_group;    /* ...so this one is in that of the GPU before it */
	bool has_numa_node;
	int numa_node;
	bool has_address;
	struct bdf address;
};

struct spec {
	size_t gpu_count;
	struct spec_gpu gpus[SPEC_GPUS_MAX];
};

int spec_parse(const char *text, struct spec *ret, struct err *err);

#endif
