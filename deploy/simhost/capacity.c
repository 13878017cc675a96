/* SPDX-License-Identifier: Apache-2.0 */
#include "capacity.h"

static size_t type_index(const struct gpu *gpu, const struct board_type *type)
{
	return (size_t)(type - gpu->board->types);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t capacity_of_gpu(const struct gpu *gpu, const struct board_type *type)
{
	uint64_t same_type = gpu->type_counts[type_index(gpu, type)];
	uint64_t by_memory = (gpu->board->framebuffer_mb - gpu->used_mb) / type->framebuffer_mb;

	if (gpu->board->sharing == BOARD_INSTANCES)
		return type->instances - same_type;
	if (gpu->board->sharing == BOARD_ANY_SIZE)
		return least(type->max_instance - same_type, by_memory);
	if (gpu->vgpu_count > 0 && gpu->size_mb != type->framebuffer_mb)
		return 0;
	return least(type->max_instance - gpu->vgpu_count, by_memory); /* one size, one maximum */
}

uint64_t capacity_of_parent(const struct function *parent, const struct board_type *type)
{
	uint64_t available = capacity_of_gpu(parent->gpu, type);

	if (parent->kind != FUNCTION_VIRTUAL)
		return available;
	return parent->mdev_count > 0 || parent->vgpu.type ? 0 : least(available, 1);
}

void capacity_take(struct gpu *gpu, const struct board_type *type)
{
	gpu->vgpu_count++;
	gpu->type_counts[type_index(gpu, type)]++;
	gpu->used_mb += type->framebuffer_mb;
	gpu->size_mb = type->framebuffer_mb;
}

void capacity_give(struct gpu *gpu, const struct board_type *type)
{
	gpu->vgpu_count--;
	gpu->type_counts[type_index(gpu, type)]--;
	gpu->used_mb -= type->framebuffer_mb;
}
