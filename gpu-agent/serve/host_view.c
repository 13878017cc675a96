/* SPDX-License-Identifier: Apache-2.0 */
#include "host_view.h"

#include <string.h>

#include "profile_name.h"

static int compare_profiles(const void *a, const void *b)
{
	const struct view_profile *x = a, *y = b;

	return profile_compare(x->name, x->framebuffer_mb, y->name, y->framebuffer_mb);
}

/* What only GPUs offer that may not be touched is nothing to choose from. */
static bool is_listed(const struct capacity *capacity, size_t profile)
{
	bool barred = false;

	for (size_t i = 0; i < capacity->inventory->gpu_count; i++) {
		if (!capacity_is_offered(capacity, i, profile))
			continue;
		if (!capacity->inventory->gpus[i].barred)
			return true;
		barred = true;
	}
	return !barred; /* known from the catalogue: a full GPU has left it out */
}

static void fill_profiles(struct host_view *view, const struct capacity *capacity)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < inventory->profile_count; i++) {
		struct view_profile *profile = &view->profiles[view->profile_count];
		int32_t framebuffer_mb = inventory->profiles[i].framebuffer_mb;

		if (!is_listed(capacity, i))
			continue;
		view->profile_count++;
		memcpy(profile->name, inventory->profiles[i].name, sizeof(profile->name));
		profile->framebuffer_mb = framebuffer_mb > 0 ? (uint32_t)framebuffer_mb : 0;
		profile->available = capacity_available(capacity, i);
	}
	qsort(view->profiles, view->profile_count, sizeof(*view->profiles), compare_profiles);
}

/*
 * A whole GPU can be given away when the IOMMU isolates it and no VFIO driver has it: one
 * that is bound already is in the hands of somebody whom we do not know.
 */
static bool may_be_passed_through(const struct inventory_gpu *gpu)
{
	return gpu->framework == FRAMEWORK_PASSTHROUGH && !gpu->barred && !gpu->suspect &&
	       gpu->iommu_group != OPS_NO_GROUP && !strstr(gpu->driver, "vfio");
}

static void fill_gpu(struct view_gpu *view, const struct capacity *capacity, size_t index)
{
	const struct inventory_gpu *gpu = &capacity->inventory->gpus[index];
	const struct gpu_load *load = &capacity->loads[index];

	view->address = gpu->address;
	memcpy(view->name, gpu->name, sizeof(view->name));
	memcpy(view->driver, gpu->driver, sizeof(view->driver));
	view->vendor = gpu->board.vendor;
	view->device = gpu->board.device;
	view->iommu_group = gpu->iommu_group;
	view->framework = gpu->framework;
	view->numa_node = gpu->numa_node;
	view->available = may_be_passed_through(gpu);
	view->barred = gpu->barred;
	view->suspect = gpu->suspect;
	view->total_slots = load->total_slots;
	view->used_slots = load->used_slots;
	if (gpu->framework == FRAMEWORK_PASSTHROUGH) {
		view->total_slots = 1;
		view->used_slots = !view->available;
	}
	if (load->framebuffer_mb > 0 && !load->sizes_mixed)
		view->locked_framebuffer_mb = (uint32_t)load->framebuffer_mb;
	strcpy(view->reason, capacity_gpu_text(capacity, index).s);
}

static enum host_mode mode_of(const struct host_view *view)
{
	enum host_mode mode = HOST_MODE_NONE;

	for (size_t i = 0; i < view->gpu_count; i++) {
		if (view->gpus[i].barred || view->gpus[i].framework == FRAMEWORK_UNKNOWN)
			continue;
		if (view->gpus[i].framework != FRAMEWORK_PASSTHROUGH)
			return HOST_MODE_VGPU;
		mode = HOST_MODE_PASSTHROUGH;
	}
	return mode;
}

/* In vGPU mode the slots are those of vGPUs: whole GPUs are listed beside them. */
void host_view_count(struct host_view *view)
{
	view->total_slots = view->used_slots = 0;
	for (size_t i = 0; i < view->gpu_count; i++) {
		bool whole = view->gpus[i].framework == FRAMEWORK_PASSTHROUGH;

		if (view->gpus[i].barred || whole != (view->mode == HOST_MODE_PASSTHROUGH))
			continue;
		view->total_slots += view->gpus[i].total_slots;
		view->used_slots += view->gpus[i].used_slots;
	}
}

struct host_view *host_view_new(const struct capacity *capacity, uint64_t generation)
{
	const struct inventory *inventory = capacity->inventory;
	struct host_view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->references = 1;
	view->generation = generation;
	view->profiles = calloc(inventory->profile_count + 1, sizeof(*view->profiles));
	view->gpus = calloc(inventory->gpu_count + 1, sizeof(*view->gpus));
	if (!view->profiles || !view->gpus) {
		host_view_unref(view);
		return NULL;
	}
	fill_profiles(view, capacity);
	view->gpu_count = inventory->gpu_count;
	for (size_t i = 0; i < view->gpu_count; i++)
		fill_gpu(&view->gpus[i], capacity, i);
	view->mode = mode_of(view);
	host_view_count(view);
	return view;
}

struct host_view *host_view_ref(struct host_view *view)
{
	__atomic_fetch_add(&view->references, 1, __ATOMIC_RELAXED);
	return view;
}

void host_view_unref(struct host_view *view)
{
	if (!view || __atomic_sub_fetch(&view->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(view->profiles);
	free(view->gpus);
	free(view->conditions);
	free(view);
}
