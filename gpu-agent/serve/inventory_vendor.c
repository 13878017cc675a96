/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor VFIO framework: each virtual function lists the vGPU types that can be created on
 * it now, without sizes or maxima, and says which type it has.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inventory_fill.h"
#include "profile_name.h"

/* Records of one function follow each other, so the last answer is mostly the next one. */
static size_t find_slot(const struct inventory *inventory, struct pci_addr address, size_t last)
{
	if (last != INVENTORY_NONE &&
	    pci_addr_compare(inventory->slots[last].address, address) == 0)
		return last;
	return inventory_find_slot(inventory, address);
}

static const struct inventory_gpu *gpu_of(const struct inventory *inventory, size_t slot)
{
	return &inventory->gpus[inventory->slots[slot].gpu];
}

/* ---- Which types there are --------------------------------------------------------- */

/* The list shrinks as a GPU fills: what was learned earlier counts too. */
static int collect_types(const struct inventory *inventory, const struct op_record *records,
			 size_t count, const struct catalogue *learned, struct catalogue *ret)
{
	size_t slot = INVENTORY_NONE;

	for (size_t i = 0; i < learned->count; i++)
		if (catalogue_put(ret, &learned->types[i], true) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct op_vendor_type *said = &records[i].vendor_type;
		struct catalogue_type type = { .max_instance = OPS_UNKNOWN };
		char name[OPS_NAME_MAX];

		if (records[i].kind != OP_RECORD_VENDOR_TYPE)
			continue;
		slot = find_slot(inventory, said->address, slot);
		if (slot == INVENTORY_NONE)
			continue;
		inventory_copy_text(name, said->name, sizeof(name));
		type.board = gpu_of(inventory, slot)->board;
		snprintf(type.id, sizeof(type.id), "%" PRIu32, said->id);
		snprintf(type.name, sizeof(type.name), "%s", profile_short_name(name));
		type.framebuffer_mb = profile_framebuffer_mb(type.name);
		if (catalogue_put(ret, &type, true) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- What each function offers ------------------------------------------------------ */

/* What the largest type of a board takes can be had by smaller ones together. */
static int32_t largest_framebuffer(const struct catalogue *types, struct board board)
{
	int32_t largest = 0;

	for (size_t i = 0; i < types->count; i++)
		if (board_equal(types->types[i].board, board) &&
		    !profile_has_slices(types->types[i].name) &&
		    types->types[i].framebuffer_mb > largest)
			largest = types->types[i].framebuffer_mb;
	return largest;
}

/* The driver's word from another framework, or what the board has, or at least what was seen. */
static void find_maximum(struct inventory_offer *offer, const struct catalogue_type *type,
			 int32_t largest_mb)
{
	offer->max_instance = type->max_instance;
	if (offer->max_instance == OPS_UNKNOWN)
		offer->max_instance = profile_max_instance(type->name);
	if (offer->max_instance != OPS_UNKNOWN || profile_has_slices(type->name) ||
	    type->framebuffer_mb <= 0)
		return;
	offer->max_instance = largest_mb / type->framebuffer_mb;
	offer->max_may_be_more = true;
}

static int offer_type(struct inventory *inventory, struct inventory_slot *slot,
		      const struct catalogue_type *type, int32_t largest_mb)
{
	struct inventory_offer *offer = &inventory->offers[slot->first_offer + slot->offer_count];

	memset(offer, 0, sizeof(*offer));
	memcpy(offer->type, type->id, sizeof(offer->type));
	offer->available = OPS_UNKNOWN;
	find_maximum(offer, type, largest_mb);
	offer->profile = inventory_intern_profile(inventory, type->name, type->framebuffer_mb);
	if (offer->profile == INVENTORY_NONE)
		return -ENOMEM;
	slot->offer_count++;
	return 0;
}

static int offer_types(struct inventory *inventory, const struct catalogue *types)
{
	for (size_t s = 0; s < inventory->slot_count; s++) {
		struct inventory_slot *slot = &inventory->slots[s];
		const struct inventory_gpu *gpu = gpu_of(inventory, s);
		struct inventory_offer *grown;
		int32_t largest_mb;

		if (gpu->framework != FRAMEWORK_VENDOR_VFIO)
			continue;
		slot->first_offer = inventory->offer_count;
		grown = realloc(inventory->offers,
				(inventory->offer_count + types->count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		inventory->offers = grown;
		largest_mb = largest_framebuffer(types, gpu->board);
		for (size_t i = 0; i < types->count; i++)
			if (board_equal(types->types[i].board, gpu->board) &&
			    offer_type(inventory, slot, &types->types[i], largest_mb))
				return -ENOMEM;
		inventory->offer_count += slot->offer_count;
	}
	return 0;
}

static struct inventory_offer *find_offer(struct inventory *inventory, size_t slot, uint32_t id)
{
	const struct inventory_slot *s = &inventory->slots[slot];
	char text[OPS_TYPE_MAX];

	snprintf(text, sizeof(text), "%" PRIu32, id);
	for (size_t i = s->first_offer; i < s->first_offer + s->offer_count; i++)
		if (strcmp(inventory->offers[i].type, text) == 0)
			return &inventory->offers[i];
	return NULL;
}

/* A list that could be read is all that can be had of its function. */
static void mark_listed(struct inventory *inventory, const struct op_record *records, size_t count)
{
	size_t slot = INVENTORY_NONE;

	for (size_t i = 0; i < count; i++) {
		if (records[i].kind != OP_RECORD_VENDOR_VF || !records[i].vendor_vf.list_known)
			continue;
		slot = find_slot(inventory, records[i].vendor_vf.address, slot);
		for (size_t o = 0; slot != INVENTORY_NONE && o < inventory->slots[slot].offer_count;
		     o++)
			inventory->offers[inventory->slots[slot].first_offer + o].available = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct inventory_offer *offer;

		if (records[i].kind != OP_RECORD_VENDOR_TYPE)
			continue;
		slot = find_slot(inventory, records[i].vendor_type.address, slot);
		offer = slot == INVENTORY_NONE
				? NULL
				: find_offer(inventory, slot, records[i].vendor_type.id);
		if (offer)
			offer->available = 1;
	}
}

/* ---- What each function carries ------------------------------------------------------ */

static int add_vgpu(struct inventory *inventory, size_t slot, const struct op_vendor_vf *said,
		    const struct catalogue *types)
{
	struct op_mdev vgpu = {
		.parent = said->address,
		.iommu_group = inventory->slots[slot].iommu_group,
		.in_journal = said->in_journal,
	};

	if (said->in_journal)
		memcpy(vgpu.uuid, said->uuid, sizeof(vgpu.uuid));
	snprintf(vgpu.type, sizeof(vgpu.type), "%" PRIi32, said->current_type);
	return inventory_fill_vgpu(inventory, &vgpu, types);
}

static int add_vgpus(struct inventory *inventory, const struct op_record *records, size_t count,
		     const struct catalogue *types)
{
	for (size_t i = 0; i < count; i++) {
		const struct op_vendor_vf *said = &records[i].vendor_vf;
		size_t slot;

		if (records[i].kind != OP_RECORD_VENDOR_VF)
			continue;
		slot = inventory_find_slot(inventory, said->address);
		if (slot == INVENTORY_NONE)
			continue;
		inventory->slots[slot].incomplete |= !said->list_known || said->current_type < 0;
		if (said->current_type < 0) {
			inventory->gpus[inventory->slots[slot].gpu].incomplete = true;
			if (inventory_add_unreadable(inventory, said->address))
				return -ENOMEM;
		} else if (said->current_type > 0 && add_vgpu(inventory, slot, said, types)) {
			return -ENOMEM;
		}
	}
	return 0;
}

int inventory_fill_vendor(struct inventory *inventory, const struct op_record *records,
			  size_t count, const struct catalogue *catalogue)
{
	scoped(catalogue_done) struct catalogue types = { 0 };

	if (collect_types(inventory, records, count, catalogue, &types) ||
	    offer_types(inventory, &types))
		return -ENOMEM;
	mark_listed(inventory, records, count);
	return add_vgpus(inventory, records, count, &types);
}
