/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory.h"

#include <errno.h>
#include <string.h>

#include "inventory_fill.h"
#include "profile_name.h"

static bool same_address(struct pci_addr a, struct pci_addr b)
{
	return pci_addr_compare(a, b) == 0;
}

int inventory_new(const struct op_record *records, size_t count, const struct catalogue *catalogue,
		  struct inventory **ret)
{
	scoped(inventory_free) struct inventory *inventory = calloc(1, sizeof(*inventory));

	if (!inventory || inventory_fill(inventory, records, count, catalogue))
		return -ENOMEM;
	*ret = TAKE_PTR(inventory);
	return 0;
}

void inventory_free(struct inventory *inventory)
{
	if (!inventory)
		return;
	free(inventory->gpus);
	free(inventory->slots);
	free(inventory->offers);
	free(inventory->profiles);
	free(inventory->vgpus);
	free(inventory->unreadable);
	free(inventory);
}

/* ---- Life of one inventory ------------------------------------------------------ */

static bool gpu_is_empty(const struct inventory *inventory, size_t gpu)
{
	for (size_t i = 0; i < inventory->vgpu_count; i++)
		if (inventory->slots[inventory->vgpus[i].slot].gpu == gpu)
			return false;
	return true;
}

int inventory_teach(const struct inventory *inventory, struct catalogue *catalogue)
{
	int changes = 0;

	for (size_t s = 0; s < inventory->slot_count; s++) {
		const struct inventory_slot *slot = &inventory->slots[s];
		bool authoritative = gpu_is_empty(inventory, slot->gpu);

		for (size_t i = 0; i < slot->offer_count; i++) {
			const struct inventory_offer *offer =
				&inventory->offers[slot->first_offer + i];
			const struct inventory_profile *profile =
				&inventory->profiles[offer->profile];
			struct catalogue_type type = {
				.board = inventory->gpus[slot->gpu].board,
				.framebuffer_mb = profile->framebuffer_mb,
				.max_instance = OPS_UNKNOWN,
			};
			int r;

			if (inventory->gpus[slot->gpu].framework == FRAMEWORK_MDEV)
				type.max_instance = offer->max_instance; /* the driver's word */
			memcpy(type.name, profile->name, sizeof(type.name));
			strcpy(type.id, profile_type_id(offer->type));
			r = catalogue_put(catalogue, &type, authoritative);
			if (r < 0)
				return r;
			changes += r;
		}
	}
	return changes;
}

/*
 * A scan that read root's journal just before we set a vendor's type has seen it as somebody
 * else's. A function carries one vGPU.
 */
static void forget_unnamed(struct inventory *inventory, struct pci_addr slot_address)
{
	for (size_t i = 0; i < inventory->vgpu_count; i++) {
		struct inventory_vgpu *vgpu = &inventory->vgpus[i];

		if (vgpu->uuid[0] == '\0' &&
		    same_address(inventory->slots[vgpu->slot].address, slot_address)) {
			*vgpu = inventory->vgpus[--inventory->vgpu_count];
			return;
		}
	}
}

int inventory_add_vgpu(struct inventory *inventory, const struct op_mdev *vgpu,
		       const struct catalogue *catalogue)
{
	inventory_mark_stale(inventory, vgpu->parent);
	if (inventory_find_vgpu(inventory, vgpu->uuid))
		return 0;
	forget_unnamed(inventory, vgpu->parent);
	return inventory_fill_vgpu(inventory, vgpu, catalogue);
}

void inventory_remove_vgpu(struct inventory *inventory, const char *uuid)
{
	for (size_t i = 0; i < inventory->vgpu_count; i++) {
		struct inventory_vgpu *vgpu = &inventory->vgpus[i];

		if (strcmp(vgpu->uuid, uuid) != 0)
			continue;
		inventory->gpus[inventory->slots[vgpu->slot].gpu].stale = true;
		*vgpu = inventory->vgpus[--inventory->vgpu_count];
		return;
	}
}

void inventory_mark_stale(struct inventory *inventory, struct pci_addr slot_address)
{
	size_t slot = inventory_find_slot(inventory, slot_address);

	if (slot != INVENTORY_NONE)
		inventory->gpus[inventory->slots[slot].gpu].stale = true;
}

const struct inventory_vgpu *inventory_find_vgpu(const struct inventory *inventory,
						 const char *uuid)
{
	for (size_t i = 0; i < inventory->vgpu_count; i++)
		if (strcmp(inventory->vgpus[i].uuid, uuid) == 0)
			return &inventory->vgpus[i];
	return NULL;
}

enum presence inventory_presence(const struct inventory *inventory, const char *uuid,
				 struct pci_addr slot_address)
{
	const struct inventory_vgpu *vgpu = inventory_find_vgpu(inventory, uuid);

	if (vgpu && same_address(inventory->slots[vgpu->slot].address, slot_address))
		return PRESENCE_PRESENT;
	for (size_t i = 0; i < inventory->unreadable_count; i++)
		if (same_address(inventory->unreadable[i], slot_address))
			return PRESENCE_UNKNOWN;
	return PRESENCE_ABSENT;
}

void inventory_mark_suspects(struct inventory *inventory, const struct pci_addr *gpus, size_t count)
{
	memcpy(inventory->suspects, gpus, count * sizeof(*gpus));
	inventory->suspect_count = count;
	for (size_t i = 0; i < inventory->gpu_count; i++)
		inventory->gpus[i].suspect =
			inventory_is_suspect(inventory, inventory->gpus[i].address);
}

bool inventory_is_suspect(const struct inventory *inventory, struct pci_addr gpu)
{
	for (size_t i = 0; i < inventory->suspect_count; i++)
		if (same_address(inventory->suspects[i], gpu))
			return true;
	return false;
}

size_t inventory_find_slot(const struct inventory *inventory, struct pci_addr address)
{
	for (size_t i = 0; i < inventory->slot_count; i++)
		if (same_address(inventory->slots[i].address, address))
			return i;
	return INVENTORY_NONE;
}

size_t inventory_find_profile(const struct inventory *inventory, const char *name)
{
	const char *short_name = profile_short_name(name);

	for (size_t i = 0; i < inventory->profile_count; i++)
		if (strcmp(inventory->profiles[i].name, short_name) == 0)
			return i;
	return INVENTORY_NONE;
}

const struct inventory_offer *inventory_offer_of(const struct inventory *inventory, size_t slot,
						 size_t profile)
{
	const struct inventory_slot *parent = &inventory->slots[slot];

	for (size_t i = 0; i < parent->offer_count; i++) {
		const struct inventory_offer *offer = &inventory->offers[parent->first_offer + i];

		if (offer->profile == profile)
			return offer;
	}
	return NULL;
}

static bool array_equal(const void *a, size_t a_count, const void *b, size_t b_count,
			size_t element_size)
{
	return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * element_size) == 0);
}

bool inventory_equal(const struct inventory *a, const struct inventory *b)
{
	return array_equal(a->gpus, a->gpu_count, b->gpus, b->gpu_count, sizeof(*a->gpus)) &&
	       array_equal(a->slots, a->slot_count, b->slots, b->slot_count, sizeof(*a->slots)) &&
	       array_equal(a->offers, a->offer_count, b->offers, b->offer_count,
			   sizeof(*a->offers)) &&
	       array_equal(a->profiles, a->profile_count, b->profiles, b->profile_count,
			   sizeof(*a->profiles)) &&
	       array_equal(a->vgpus, a->vgpu_count, b->vgpus, b->vgpu_count, sizeof(*a->vgpus)) &&
	       array_equal(a->unreadable, a->unreadable_count, b->unreadable, b->unreadable_count,
			   sizeof(*a->unreadable));
}
