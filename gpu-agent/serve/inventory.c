/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory.h"

#include <errno.h>
#include <string.h>

#include "profile_name.h"

#define CLASS_BASE_DISPLAY 0x03
#define CLASS_VGA	   0x0300
#define CLASS_3D	   0x0302

/* Texts come from files that drivers write: what is not printable ASCII becomes '?'. */
static void copy_text(char *to, const char *from, size_t size)
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

/* 0: neither carries vGPUs nor may be passed through, as far as the scan could tell. */
static enum framework find_framework(const struct op_pci *pci, const struct gpu_signs *signs)
{
	uint32_t class_code = pci->class_code >> 8;

	if (signs->mdev)
		return FRAMEWORK_MDEV;
	if (signs->vendor_vfio)
		return FRAMEWORK_VENDOR_VFIO;
	if ((class_code != CLASS_VGA && class_code != CLASS_3D) || pci->is_boot_display ||
	    signs->incomplete || pci->sriov_enabled != 0)
		return 0;
	return FRAMEWORK_PASSTHROUGH;
}

static int add_gpu(struct inventory *inventory, const struct op_pci *pci,
		   const struct op_record *records, size_t count)
{
	struct gpu_signs signs = read_signs(records, count, pci->address);
	enum framework framework = find_framework(pci, &signs);
	struct inventory_gpu *gpu;

	if (!framework)
		return 0;
	gpu = APPEND(inventory->gpus, inventory->gpu_count);
	if (!gpu)
		return -ENOMEM;
	gpu->address = pci->address;
	copy_text(gpu->name, pci->name, sizeof(gpu->name));
	copy_text(gpu->driver, pci->driver, sizeof(gpu->driver));
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

static int add_slots_of(struct inventory *inventory, size_t index, const struct op_record *records,
			size_t count)
{
	struct inventory_gpu *gpu = &inventory->gpus[index];

	gpu->first_slot = inventory->slot_count;
	for (size_t i = 0; i < count; i++) {
		const struct op_pci *pci = &records[i].pci;
		struct inventory_slot *slot;

		if (!belongs_to(&records[i], gpu->address) || !pci->is_mdev_parent)
			continue;
		slot = APPEND(inventory->slots, inventory->slot_count);
		if (!slot)
			return -ENOMEM;
		slot->address = pci->address;
		slot->gpu = index;
		slot->numa_node = pci->numa_node < 0 ? -1 : pci->numa_node;
		slot->shared = !pci->is_virtual;
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

/* Index of the profile, added if it is new; INVENTORY_NONE: out of memory. */
static size_t intern_profile(struct inventory *inventory, const char *name, int32_t framebuffer_mb)
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

	copy_text(text, said->type, sizeof(text));
	memcpy(type.id, profile_type_id(text), strlen(profile_type_id(text)) + 1);
	known = catalogue_find(catalogue, board, type.id);
	copy_text(type.name, said->name, sizeof(type.name));
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

	copy_text(offer->type, said->type, sizeof(offer->type));
	offer->max_instance = type.max_instance;
	offer->available = said->available;
	offer->profile = intern_profile(inventory, type.name, type.framebuffer_mb);
	if (offer->profile == INVENTORY_NONE)
		return -ENOMEM;
	slot->offer_count++;
	return 0;
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
		if (records[i].kind == OP_RECORD_MDEV_TYPE)
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

		if (gpu->framework != FRAMEWORK_MDEV)
			continue;
		for (size_t i = 0; i < catalogue->count; i++) {
			const struct catalogue_type *type = &catalogue->types[i];

			if (board_equal(type->board, gpu->board) &&
			    intern_profile(inventory, type->name, type->framebuffer_mb) ==
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

static int add_mdev(struct inventory *inventory, const struct op_mdev *said,
		    const struct catalogue *catalogue)
{
	size_t slot = inventory_find_slot(inventory, said->parent);
	struct inventory_mdev *mdev;
	char type[OPS_TYPE_MAX];

	if (slot == INVENTORY_NONE)
		return 0;
	mdev = APPEND(inventory->mdevs, inventory->mdev_count);
	if (!mdev)
		return -ENOMEM;
	copy_text(type, said->type, sizeof(type));
	copy_text(mdev->uuid, said->uuid, sizeof(mdev->uuid));
	mdev->slot = slot;
	mdev->profile = profile_of_type(inventory, slot, type, catalogue);
	mdev->iommu_group = said->iommu_group;
	mdev->in_journal = said->in_journal;
	mdev->half_removed = said->half_removed;
	return 0;
}

static int add_unreadable(struct inventory *inventory, const struct op_record *records,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct pci_addr *address;

		if (records[i].kind != OP_RECORD_PCI || !records[i].pci.incomplete)
			continue;
		address = APPEND(inventory->unreadable, inventory->unreadable_count);
		if (!address)
			return -ENOMEM;
		*address = records[i].pci.address;
	}
	return 0;
}

static int fill(struct inventory *inventory, const struct op_record *records, size_t count,
		const struct catalogue *catalogue)
{
	if (add_gpus(inventory, records, count) || add_unreadable(inventory, records, count))
		return -ENOMEM;
	for (size_t i = 0; i < inventory->gpu_count; i++)
		if (add_slots_of(inventory, i, records, count))
			return -ENOMEM;
	if (add_offers(inventory, records, count, catalogue) ||
	    add_known_profiles(inventory, catalogue))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (records[i].kind == OP_RECORD_MDEV &&
		    add_mdev(inventory, &records[i].mdev, catalogue))
			return -ENOMEM;
	return 0;
}

int inventory_new(const struct op_record *records, size_t count, const struct catalogue *catalogue,
		  struct inventory **ret)
{
	scoped(inventory_free) struct inventory *inventory = calloc(1, sizeof(*inventory));

	if (!inventory || fill(inventory, records, count, catalogue))
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
	free(inventory->mdevs);
	free(inventory->unreadable);
	free(inventory);
}

/* ---- Life of one inventory ------------------------------------------------------ */

static bool gpu_is_empty(const struct inventory *inventory, size_t gpu)
{
	for (size_t i = 0; i < inventory->mdev_count; i++)
		if (inventory->slots[inventory->mdevs[i].slot].gpu == gpu)
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
				.max_instance = offer->max_instance,
			};
			int r;

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

int inventory_add_mdev(struct inventory *inventory, const struct op_mdev *mdev,
		       const struct catalogue *catalogue)
{
	inventory_mark_stale(inventory, mdev->parent);
	if (inventory_find_mdev(inventory, mdev->uuid))
		return 0;
	return add_mdev(inventory, mdev, catalogue);
}

void inventory_remove_mdev(struct inventory *inventory, const char *uuid)
{
	for (size_t i = 0; i < inventory->mdev_count; i++) {
		struct inventory_mdev *mdev = &inventory->mdevs[i];

		if (strcmp(mdev->uuid, uuid) != 0)
			continue;
		inventory->gpus[inventory->slots[mdev->slot].gpu].stale = true;
		*mdev = inventory->mdevs[--inventory->mdev_count];
		return;
	}
}

void inventory_mark_stale(struct inventory *inventory, struct pci_addr slot_address)
{
	size_t slot = inventory_find_slot(inventory, slot_address);

	if (slot != INVENTORY_NONE)
		inventory->gpus[inventory->slots[slot].gpu].stale = true;
}

const struct inventory_mdev *inventory_find_mdev(const struct inventory *inventory,
						 const char *uuid)
{
	for (size_t i = 0; i < inventory->mdev_count; i++)
		if (strcmp(inventory->mdevs[i].uuid, uuid) == 0)
			return &inventory->mdevs[i];
	return NULL;
}

enum presence inventory_presence(const struct inventory *inventory, const char *uuid,
				 struct pci_addr slot_address)
{
	const struct inventory_mdev *mdev = inventory_find_mdev(inventory, uuid);

	if (mdev && same_address(inventory->slots[mdev->slot].address, slot_address))
		return PRESENCE_PRESENT;
	for (size_t i = 0; i < inventory->unreadable_count; i++)
		if (same_address(inventory->unreadable[i], slot_address))
			return PRESENCE_UNKNOWN;
	return PRESENCE_ABSENT;
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
	return find_short_name(inventory, profile_short_name(name));
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
	       array_equal(a->mdevs, a->mdev_count, b->mdevs, b->mdev_count, sizeof(*a->mdevs)) &&
	       array_equal(a->unreadable, a->unreadable_count, b->unreadable, b->unreadable_count,
			   sizeof(*a->unreadable));
}
