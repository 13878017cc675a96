/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory_fill.h"

#include <errno.h>
#include <string.h>

#include "profile_name.h"

#define CLASS_BASE_DISPLAY 0x03
#define CLASS_VGA	   0x0300
#define CLASS_3D	   0x0302

void inventory_copy_text(char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size - 1);

	for (size_t i = 0; i < length; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	memset(to + length, 0, size - length);
}

/* One more, zeroed element at the end of an array; NULL when out of memory. */
#define APPEND(array, count)                                                                       \
	({                                                                                         \
		__typeof__(array) grown_ = realloc((array), ((count) + 1) * sizeof(*(array)));     \
		if (grown_) {                                                                      \
			(array) = grown_;                                                          \
			grown_ += (count)++;                                                       \
			memset(grown_, 0, sizeof(*grown_));                                        \
		}                                                                                  \
		grown_;                                                                            \
	})

static struct board board_of(const struct op_pci *pci)
{
	return (struct board){ pci->vendor, pci->device, pci->subsystem_vendor,
			       pci->subsystem_device };
}

static bool same_address(struct pci_addr a, struct pci_addr b)
{
	return pci_addr_compare(a, b) == 0;
}

static bool belongs_to(const struct op_record *record, struct pci_addr gpu)
{
	const struct op_pci *pci = &record->pci;

	if (record->kind != OP_RECORD_PCI)
		return false;
	return same_address(pci->is_virtual ? pci->physfn : pci->address, gpu);
}

/* ---- GPUs and slots ------------------------------------------------------------- */

/* What a GPU and its virtual functions show together. */
struct gpu_signs {
	bool mdev, vendor_vfio, incomplete;
};

static struct gpu_signs read_signs(const struct op_record *records, size_t count,
				   struct pci_addr gpu)
{
	struct gpu_signs signs = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (!belongs_to(&records[i], gpu))
			continue;
		signs.mdev |= records[i].pci.is_mdev_parent;
		signs.vendor_vfio |= records[i].pci.has_vendor_vfio;
		signs.incomplete |= records[i].pci.incomplete;
	}
	return signs;
}

/* False: it neither carries vGPUs nor could be passed through. */
static bool find_framework(const struct op_pci *pci, const struct gpu_signs *signs,
			   enum framework *ret)
{
	uint32_t class_code = pci->class_code >> 8;
	bool is_gpu = class_code == CLASS_VGA || class_code == CLASS_3D;

	*ret = FRAMEWORK_PASSTHROUGH;
	if (signs->mdev)
		*ret = FRAMEWORK_MDEV;
	else if (signs->vendor_vfio)
		*ret = FRAMEWORK_VENDOR_VFIO;
	else if (pci->is_boot_display || (!is_gpu && pci->class_code != OPS_UNKNOWN_CLASS))
		return false;
	else if (signs->incomplete)
		*ret = FRAMEWORK_UNKNOWN;
	else
		return is_gpu && pci->sriov_enabled == 0;
	return true;
}

static int add_gpu(struct inventory *inventory, const struct op_pci *pci,
		   const struct op_record *records, size_t count)
{
	struct gpu_signs signs = read_signs(records, count, pci->address);
	enum framework framework;
	struct inventory_gpu *gpu;

	if (!find_framework(pci, &signs, &framework))
		return 0;
	gpu = APPEND(inventory->gpus, inventory->gpu_count);
	if (!gpu)
		return -ENOMEM;
	gpu->address = pci->address;
	inventory_copy_text(gpu->name, pci->name, sizeof(gpu->name));
	inventory_copy_text(gpu->driver, pci->driver, sizeof(gpu->driver));
	gpu->board = board_of(pci);
	gpu->framework = framework;
	gpu->numa_node = pci->numa_node < 0 ? -1 : pci->numa_node;
	gpu->iommu_group = pci->iommu_group;
	gpu->incomplete = signs.incomplete;
	return 0;
}

static int compare_gpus(const void *a, const void *b)
{
	const struct inventory_gpu *x = a, *y = b;

	return pci_addr_compare(x->address, y->address);
}

static int add_gpus(struct inventory *inventory, const struct op_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct op_pci *pci = &records[i].pci;

		if (records[i].kind != OP_RECORD_PCI || pci->is_virtual)
			continue;
		if (pci->class_code != OPS_UNKNOWN_CLASS &&
		    pci->class_code >> 16 != CLASS_BASE_DISPLAY)
			continue;
		if (add_gpu(inventory, pci, records, count))
			return -ENOMEM;
	}
	if (inventory->gpu_count)
		qsort(inventory->gpus, inventory->gpu_count, sizeof(*inventory->gpus),
		      compare_gpus);
	return 0;
}

static int compare_slots(const void *a, const void *b)
{
	const struct inventory_slot *x = a, *y = b;

	return pci_addr_compare(x->address, y->address);
}

static bool carries_vgpus(const struct op_pci *pci, enum framework framework)
{
	return framework == FRAMEWORK_VENDOR_VFIO ? pci->has_vendor_vfio : pci->is_mdev_parent;
}

static int add_slots_of(struct inventory *inventory, size_t index, const struct op_record *records,
			size_t count)
{
	struct inventory_gpu *gpu = &inventory->gpus[index];

	gpu->first_slot = inventory->slot_count;
	for (size_t i = 0; i < count; i++) {
		const struct op_pci *pci = &records[i].pci;
		struct inventory_slot *slot;

		if (!belongs_to(&records[i], gpu->address) || !carries_vgpus(pci, gpu->framework))
			continue;
		slot = APPEND(inventory->slots, inventory->slot_count);
		if (!slot)
			return -ENOMEM;
		slot->address = pci->address;
		slot->gpu = index;
		slot->numa_node = pci->numa_node < 0 ? -1 : pci->numa_node;
		slot->iommu_group = pci->iommu_group;
		slot->shared = !pci->is_virtual && gpu->framework == FRAMEWORK_MDEV;
		slot->incomplete = pci->incomplete;
	}
	gpu->slot_count = inventory->slot_count - gpu->first_slot;
	if (gpu->slot_count)
		qsort(inventory->slots + gpu->first_slot, gpu->slot_count,
		      sizeof(*inventory->slots), compare_slots);
	return 0;
}

/* ---- Profiles, offers, devices -------------------------------------------------- */

static size_t find_short_name(const struct inventory *inventory, const char *name)
{
	for (size_t i = 0; i < inventory->profile_count; i++)
		if (strcmp(inventory->profiles[i].name, name) == 0)
			return i;
	return INVENTORY_NONE;
}

size_t inventory_intern_profile(struct inventory *inventory, const char *name,
				int32_t framebuffer_mb)
{
	size_t index = find_short_name(inventory, name);
	struct inventory_profile *profile;

	if (index == INVENTORY_NONE) {
		profile = APPEND(inventory->profiles, inventory->profile_count);
		if (!profile)
			return INVENTORY_NONE;
		memcpy(profile->name, name, strlen(name) + 1);
		profile->framebuffer_mb = OPS_UNKNOWN;
		index = inventory->profile_count - 1;
	}
	profile = &inventory->profiles[index];
	if (profile->framebuffer_mb == OPS_UNKNOWN)
		profile->framebuffer_mb = framebuffer_mb;
	return index;
}

/* The type as the scan tells it, completed by the catalogue and by its name. */
static struct catalogue_type complete_type(const struct op_mdev_type *said, struct board board,
					   const struct catalogue *catalogue)
{
	struct catalogue_type type = { .board = board };
	const struct catalogue_type *known;
	char text[OPS_TYPE_MAX];

	inventory_copy_text(text, said->type, sizeof(text));
	memcpy(type.id, profile_type_id(text), strlen(profile_type_id(text)) + 1);
	known = catalogue_find(catalogue, board, type.id);
	inventory_copy_text(type.name, said->name, sizeof(type.name));
	memmove(type.name, profile_short_name(type.name),
		strlen(profile_short_name(type.name)) + 1);
	if (!type.name[0])
		memcpy(type.name, known ? known->name : text, sizeof(type.name));
	type.framebuffer_mb = said->framebuffer_mb;
	if (type.framebuffer_mb == OPS_UNKNOWN)
		type.framebuffer_mb =
			known ? known->framebuffer_mb : profile_framebuffer_mb(type.name);
	type.max_instance = said->max_instance;
	if (type.max_instance == OPS_UNKNOWN && known)
		type.max_instance = known->max_instance;
	return type;
}

static int fill_offer(struct inventory *inventory, struct inventory_slot *slot,
		      const struct op_mdev_type *said, const struct catalogue *catalogue)
{
	struct inventory_offer *offer = &inventory->offers[slot->first_offer + slot->offer_count];
	struct catalogue_type type =
		complete_type(said, inventory->gpus[slot->gpu].board, catalogue);

	inventory_copy_text(offer->type, said->type, sizeof(offer->type));
	offer->max_instance = type.max_instance;
	offer->available = said->available;
	offer->profile = inventory_intern_profile(inventory, type.name, type.framebuffer_mb);
	if (offer->profile == INVENTORY_NONE)
		return -ENOMEM;
	slot->offer_count++;
	return 0;
}

/* The types of one parent come one after another: it is looked for once. */
static bool is_type_of_same(const struct op_record *a, const struct op_record *b)
{
	return a->kind == OP_RECORD_MDEV_TYPE && b->kind == OP_RECORD_MDEV_TYPE &&
	       same_address(a->mdev_type.parent, b->mdev_type.parent);
}

/* Offers of one slot lie together: count first, then fill. */
static int add_offers(struct inventory *inventory, const struct op_record *records, size_t count,
		      const struct catalogue *catalogue)
{
	scoped_free size_t *slot_of = calloc(count + 1, sizeof(*slot_of));
	size_t next = 0;

	if (!slot_of)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		slot_of[i] = INVENTORY_NONE;
		if (records[i].kind != OP_RECORD_MDEV_TYPE)
			continue;
		if (i > 0 && is_type_of_same(&records[i - 1], &records[i]))
			slot_of[i] = slot_of[i - 1];
		else
			slot_of[i] = inventory_find_slot(inventory, records[i].mdev_type.parent);
		if (slot_of[i] != INVENTORY_NONE)
			inventory->slots[slot_of[i]].offer_count++;
	}
	for (size_t i = 0; i < inventory->slot_count; i++) {
		inventory->slots[i].first_offer = next;
		next += inventory->slots[i].offer_count;
		inventory->slots[i].offer_count = 0;
	}
	inventory->offers = calloc(next + 1, sizeof(*inventory->offers));
	if (!inventory->offers)
		return -ENOMEM;
	inventory->offer_count = next;
	for (size_t i = 0; i < count; i++)
		if (slot_of[i] != INVENTORY_NONE &&
		    fill_offer(inventory, &inventory->slots[slot_of[i]], &records[i].mdev_type,
			       catalogue))
			return -ENOMEM;
	return 0;
}

/* Profiles stay listed while a full GPU does not offer them. */
static int add_known_profiles(struct inventory *inventory, const struct catalogue *catalogue)
{
	for (size_t g = 0; g < inventory->gpu_count; g++) {
		const struct inventory_gpu *gpu = &inventory->gpus[g];

		if (gpu->framework == FRAMEWORK_PASSTHROUGH)
			continue;
		for (size_t i = 0; i < catalogue->count; i++) {
			const struct catalogue_type *type = &catalogue->types[i];

			if (board_equal(type->board, gpu->board) &&
			    inventory_intern_profile(inventory, type->name, type->framebuffer_mb) ==
				    INVENTORY_NONE)
				return -ENOMEM;
		}
	}
	return 0;
}

static size_t profile_of_type(const struct inventory *inventory, size_t slot, const char *type,
			      const struct catalogue *catalogue)
{
	const struct inventory_slot *parent = &inventory->slots[slot];
	const struct catalogue_type *known;

	for (size_t i = 0; i < parent->offer_count; i++) {
		const struct inventory_offer *offer = &inventory->offers[parent->first_offer + i];

		if (strcmp(profile_type_id(offer->type), profile_type_id(type)) == 0)
			return offer->profile;
	}
	known = catalogue_find(catalogue, inventory->gpus[parent->gpu].board,
			       profile_type_id(type));
	return known ? find_short_name(inventory, known->name) : INVENTORY_NONE;
}

int inventory_fill_vgpu(struct inventory *inventory, const struct op_mdev *said,
			const struct catalogue *catalogue)
{
	size_t slot = inventory_find_slot(inventory, said->parent);
	struct inventory_vgpu *vgpu;
	char type[OPS_TYPE_MAX];

	if (slot == INVENTORY_NONE)
		return 0;
	vgpu = APPEND(inventory->vgpus, inventory->vgpu_count);
	if (!vgpu)
		return -ENOMEM;
	inventory_copy_text(type, said->type, sizeof(type));
	inventory_copy_text(vgpu->uuid, said->uuid, sizeof(vgpu->uuid));
	vgpu->slot = slot;
	vgpu->profile = profile_of_type(inventory, slot, type, catalogue);
	vgpu->iommu_group = said->iommu_group;
	vgpu->in_journal = said->in_journal;
	vgpu->half_removed = said->half_removed;
	return 0;
}

int inventory_add_unreadable(struct inventory *inventory, struct pci_addr address)
{
	struct pci_addr *added = APPEND(inventory->unreadable, inventory->unreadable_count);

	if (!added)
		return -ENOMEM;
	*added = address;
	return 0;
}

static int add_unreadable(struct inventory *inventory, const struct op_record *records,
			  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (records[i].kind == OP_RECORD_PCI && records[i].pci.incomplete &&
		    inventory_add_unreadable(inventory, records[i].pci.address))
			return -ENOMEM;
	return 0;
}

int inventory_fill(struct inventory *inventory, const struct op_record *records, size_t count,
		   const struct catalogue *catalogue)
{
	if (add_gpus(inventory, records, count) || add_unreadable(inventory, records, count))
		return -ENOMEM;
	for (size_t i = 0; i < inventory->gpu_count; i++)
		if (add_slots_of(inventory, i, records, count))
			return -ENOMEM;
	if (add_offers(inventory, records, count, catalogue) ||
	    inventory_fill_vendor(inventory, records, count, catalogue) ||
	    add_known_profiles(inventory, catalogue))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (records[i].kind == OP_RECORD_MDEV &&
		    inventory_fill_vgpu(inventory, &records[i].mdev, catalogue))
			return -ENOMEM;
	return 0;
}
