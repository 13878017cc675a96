/* SPDX-License-Identifier: Apache-2.0 */
#include "capacity.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profile_name.h"

/* ---- What each GPU carries ------------------------------------------------------ */

static void add_vgpu(struct gpu_load *load, int32_t framebuffer_mb)
{
	if (load->live == 0)
		load->framebuffer_mb = framebuffer_mb;
	else if (framebuffer_mb == OPS_UNKNOWN)
		load->framebuffer_mb = OPS_UNKNOWN;
	else if (load->framebuffer_mb != OPS_UNKNOWN && load->framebuffer_mb != framebuffer_mb)
		load->sizes_mixed = true;
	load->live++;
}

static void add_vgpus(struct capacity *capacity)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < inventory->vgpu_count; i++) {
		const struct inventory_vgpu *vgpu = &inventory->vgpus[i];
		int32_t framebuffer_mb = OPS_UNKNOWN;

		if (vgpu->profile != INVENTORY_NONE)
			framebuffer_mb = inventory->profiles[vgpu->profile].framebuffer_mb;
		capacity->slots[vgpu->slot] = SLOT_USED;
		add_vgpu(&capacity->loads[inventory->slots[vgpu->slot].gpu], framebuffer_mb);
	}
}

static void add_claims(struct capacity *capacity, const struct capacity_input *input)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < input->claim_count; i++) {
		const struct claim *claim = &input->claims[i];
		size_t slot = inventory_find_slot(inventory, claim->slot);
		struct gpu_load *load;

		if (slot == INVENTORY_NONE)
			continue;
		load = &capacity->loads[inventory->slots[slot].gpu];
		load->suspect |= claim->suspect;
		if (inventory_find_vgpu(inventory, claim->uuid))
			continue;
		/* A vendor's that was set a moment ago has no name yet, and is seen nevertheless.
		 */
		if (!inventory->slots[slot].shared && capacity->slots[slot] == SLOT_USED)
			continue;
		capacity->slots[slot] = SLOT_USED;
		add_vgpu(load, claim->framebuffer_mb);
		load->unseen++;
	}
}

static void add_troubled(struct capacity *capacity, const struct capacity_input *input)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < inventory->slot_count; i++)
		if (inventory->slots[i].incomplete && capacity->slots[i] == SLOT_FREE)
			capacity->slots[i] = SLOT_SHUNNED;
	for (size_t i = 0; i < input->troubled_count; i++) {
		const struct troubled_slot *troubled = &input->troubled[i];
		size_t slot = inventory_find_slot(inventory, troubled->slot);

		if (slot == INVENTORY_NONE)
			continue;
		capacity->doubtful[slot] = true;
		if (!troubled->shunned)
			continue;
		capacity->loads[inventory->slots[slot].gpu].shunned = troubled;
		if (capacity->slots[slot] == SLOT_FREE || inventory->slots[slot].shared)
			capacity->slots[slot] = SLOT_SHUNNED;
	}
}

/* A budget counts vGPUs: the largest number of them that the parent ever carries. */
static unsigned budget_slots(const struct inventory *inventory, size_t slot, unsigned live)
{
	const struct inventory_slot *parent = &inventory->slots[slot];
	unsigned most = live;

	for (size_t i = 0; i < parent->offer_count; i++) {
		const struct inventory_offer *offer = &inventory->offers[parent->first_offer + i];

		if (offer->max_instance > (int32_t)most)
			most = (unsigned)offer->max_instance;
		else if (offer->max_instance == OPS_UNKNOWN && offer->available > 0 &&
			 live + (unsigned)offer->available > most)
			most = live + (unsigned)offer->available;
	}
	return most;
}

static void count_slots(struct capacity *capacity)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < inventory->slot_count; i++) {
		struct gpu_load *load = &capacity->loads[inventory->slots[i].gpu];

		if (inventory->slots[i].shared) {
			load->total_slots += budget_slots(inventory, i, load->live);
			load->used_slots += load->live;
			if (capacity->slots[i] != SLOT_SHUNNED)
				load->free_slots += load->total_slots - load->used_slots;
			continue;
		}
		load->total_slots++;
		load->used_slots += capacity->slots[i] == SLOT_USED;
		load->free_slots += capacity->slots[i] == SLOT_FREE;
	}
}

/*
 * Under the equal-size rule a driver offers only the size that is there. One that offers
 * another on a free slot lets sizes mix. This needs figures that are as new as the devices.
 */
static void notice_mixed_sizes(struct capacity *capacity)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < inventory->slot_count; i++) {
		const struct inventory_slot *slot = &inventory->slots[i];
		struct gpu_load *load = &capacity->loads[slot->gpu];

		if (load->live == 0 || load->unseen || inventory->gpus[slot->gpu].stale ||
		    load->framebuffer_mb == OPS_UNKNOWN || slot->shared ||
		    capacity->slots[i] != SLOT_FREE)
			continue;
		for (size_t o = 0; o < slot->offer_count; o++) {
			const struct inventory_offer *offer =
				&inventory->offers[slot->first_offer + o];
			int32_t size = inventory->profiles[offer->profile].framebuffer_mb;

			if (offer->available > 0 && size != OPS_UNKNOWN &&
			    size != load->framebuffer_mb)
				load->sizes_mixed = true;
		}
	}
}

static bool is_sliced(const struct inventory *inventory, size_t profile)
{
	return profile != INVENTORY_NONE && profile_has_slices(inventory->profiles[profile].name);
}

/* A GPU in MIG mode carries such a vGPU or has room for one. */
static void notice_slices(struct capacity *capacity)
{
	const struct inventory *inventory = capacity->inventory;

	for (size_t i = 0; i < inventory->vgpu_count; i++) {
		const struct inventory_vgpu *vgpu = &inventory->vgpus[i];

		if (is_sliced(inventory, vgpu->profile))
			capacity->loads[inventory->slots[vgpu->slot].gpu].sliced = true;
	}
	for (size_t i = 0; i < inventory->slot_count; i++) {
		const struct inventory_slot *slot = &inventory->slots[i];

		for (size_t o = 0; o < slot->offer_count; o++) {
			const struct inventory_offer *offer =
				&inventory->offers[slot->first_offer + o];

			if (offer->available > 0 && is_sliced(inventory, offer->profile))
				capacity->loads[slot->gpu].sliced = true;
		}
	}
}

int capacity_init(struct capacity *capacity, const struct capacity_input *input)
{
	*capacity = (struct capacity){
		.inventory = input->inventory,
		.loads = calloc(input->inventory->gpu_count + 1, sizeof(*capacity->loads)),
		.slots = calloc(input->inventory->slot_count + 1, sizeof(*capacity->slots)),
		.doubtful = calloc(input->inventory->slot_count + 1, sizeof(*capacity->doubtful)),
	};
	if (!capacity->loads || !capacity->slots || !capacity->doubtful) {
		capacity_done(capacity);
		return -ENOMEM;
	}
	add_vgpus(capacity);
	add_claims(capacity, input);
	add_troubled(capacity, input);
	count_slots(capacity);
	notice_mixed_sizes(capacity);
	notice_slices(capacity);
	return 0;
}

void capacity_done(struct capacity *capacity)
{
	free(capacity->loads);
	free(capacity->slots);
	free(capacity->doubtful);
	*capacity = (struct capacity){ 0 };
}

/* ---- Room ----------------------------------------------------------------------- */

/* What the slots of one GPU say about one profile. */
struct offers {
	unsigned listed;      /* slots that list it */
	unsigned usable;      /* of these, free ones that the driver does not refuse */
	unsigned promised;    /* of these, those where the driver says that one fits now */
	int32_t max_instance; /* OPS_UNKNOWN */
	bool max_may_be_more;
	bool sliced;	/* needs a MIG instance: how many there are is in no file */
	int32_t budget; /* of a parent without virtual functions; OPS_UNKNOWN */
	bool shared;
};

static struct offers collect_offers(const struct capacity *capacity, size_t gpu, size_t profile)
{
	const struct inventory *inventory = capacity->inventory;
	const struct inventory_gpu *g = &inventory->gpus[gpu];
	struct offers offers = {
		.max_instance = OPS_UNKNOWN,
		.budget = OPS_UNKNOWN,
		.sliced = is_sliced(inventory, profile),
	};

	for (size_t s = g->first_slot; s < g->first_slot + g->slot_count; s++) {
		const struct inventory_offer *offer = inventory_offer_of(inventory, s, profile);
		int32_t available;

		if (!offer)
			continue;
		offers.listed++;
		if (offer->max_instance != OPS_UNKNOWN)
			offers.max_instance = offer->max_instance;
		offers.max_may_be_more |= offer->max_may_be_more;
		available = g->stale ? OPS_UNKNOWN : offer->available;
		if (inventory->slots[s].shared && capacity->slots[s] != SLOT_SHUNNED) {
			offers.shared = true;
			offers.budget = available;
			offers.usable++;
		} else if (capacity->slots[s] == SLOT_FREE && available != 0) {
			offers.usable++;
			offers.promised += available > 0;
		}
	}
	return offers;
}

static struct room no_room(enum capacity_limit limit)
{
	return (struct room){ .limit = limit };
}

/* At most what is left of the maximum, under the equal-size rule. */
static struct room room_by_rule(const struct gpu_load *load, const struct offers *offers,
				int32_t framebuffer_mb)
{
	unsigned max = (unsigned)offers->max_instance;
	unsigned left;

	if (load->live && load->framebuffer_mb != framebuffer_mb)
		return no_room(LIMIT_SIZE_LOCKED);
	if (load->live >= max)
		return no_room(LIMIT_FULL);
	left = max - load->live;
	return (struct room){ .count = left < offers->usable ? left : offers->usable };
}

/* Where no rule of ours can be applied, only what the driver says of itself counts. */
static struct room room_by_promise(const struct gpu_load *load, const struct offers *offers)
{
	if (offers->promised == 0 || load->unseen)
		return no_room(LIMIT_UNKNOWN);
	return (struct room){ .count = 1 };
}

static struct room room_of_budget(const struct gpu_load *load, struct offers offers,
				  int32_t framebuffer_mb)
{
	if (offers.budget != OPS_UNKNOWN && load->unseen == 0) {
		if (offers.budget > 0)
			return (struct room){ .count = (unsigned)offers.budget };
		return no_room(load->live && load->framebuffer_mb != framebuffer_mb
				       ? LIMIT_SIZE_LOCKED
				       : LIMIT_FULL);
	}
	if (offers.max_instance == OPS_UNKNOWN || framebuffer_mb == OPS_UNKNOWN)
		return no_room(LIMIT_UNKNOWN);
	offers.usable = (unsigned)offers.max_instance;
	return room_by_rule(load, &offers, framebuffer_mb);
}

struct room capacity_on_gpu(const struct capacity *capacity, size_t gpu, size_t profile)
{
	const struct gpu_load *load = &capacity->loads[gpu];
	int32_t framebuffer_mb = capacity->inventory->profiles[profile].framebuffer_mb;
	struct offers offers = collect_offers(capacity, gpu, profile);
	bool unknown = framebuffer_mb == OPS_UNKNOWN || offers.max_instance == OPS_UNKNOWN ||
		       offers.sliced || load->framebuffer_mb == OPS_UNKNOWN || load->sizes_mixed ||
		       capacity->inventory->gpus[gpu].incomplete;

	if (capacity->inventory->gpus[gpu].barred)
		return no_room(LIMIT_BARRED);
	if (capacity->inventory->gpus[gpu].suspect)
		return no_room(LIMIT_SUSPECT);
	if (capacity->inventory->gpus[gpu].framework == FRAMEWORK_UNKNOWN)
		return no_room(LIMIT_UNKNOWN);
	if (offers.listed == 0)
		return no_room(LIMIT_NOT_OFFERED);
	if (offers.shared)
		return room_of_budget(load, offers, framebuffer_mb);
	if (!unknown && load->live && load->framebuffer_mb != framebuffer_mb)
		return no_room(LIMIT_SIZE_LOCKED);
	if (!unknown && load->live >= (unsigned)offers.max_instance) {
		if (!offers.max_may_be_more)
			return no_room(LIMIT_FULL);
		unknown = true;
	}
	if (offers.usable == 0)
		return no_room(load->free_slots ? LIMIT_DRIVER : LIMIT_NO_SLOT);
	return unknown ? room_by_promise(load, &offers)
		       : room_by_rule(load, &offers, framebuffer_mb);
}

bool capacity_is_offered(const struct capacity *capacity, size_t gpu, size_t profile)
{
	return collect_offers(capacity, gpu, profile).listed > 0;
}

unsigned capacity_available(const struct capacity *capacity, size_t profile)
{
	unsigned sum = 0;

	for (size_t i = 0; i < capacity->inventory->gpu_count; i++)
		sum += capacity_on_gpu(capacity, i, profile).count;
	return sum;
}

/* ---- Reasons -------------------------------------------------------------------- */

const char *capacity_limit_word(enum capacity_limit limit)
{
	static const char *const words[] = {
		[LIMIT_NONE] = "none",
		[LIMIT_NOT_OFFERED] = "not_offered",
		[LIMIT_SIZE_LOCKED] = "size_locked",
		[LIMIT_FULL] = "full",
		[LIMIT_NO_SLOT] = "no_free_slot",
		[LIMIT_DRIVER] = "refused_by_driver",
		[LIMIT_UNKNOWN] = "unknown",
		[LIMIT_BARRED] = "not_allowed",
		[LIMIT_SUSPECT] = "not_responding",
	};

	return words[limit];
}

static struct capacity_text text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct capacity_text text(const char *format, ...)
{
	struct capacity_text text;
	va_list args;

	va_start(args, format);
	vsnprintf(text.s, sizeof(text.s), format, args);
	va_end(args);
	return text;
}

static const char *suspect_text(const struct inventory_gpu *gpu)
{
	if (gpu->framework == FRAMEWORK_UNKNOWN)
		return "the kernel has not answered for it: what it offers is not known";
	return "the kernel does not answer for it: this is what was last known";
}

static const char *plural(unsigned count)
{
	return count == 1 ? "" : "s";
}

static struct capacity_text barred_text(const struct inventory_gpu *gpu)
{
	return text("its vendor %04x is not in the setting device-vendor", gpu->board.vendor);
}

struct capacity_text capacity_limit_text(const struct capacity *capacity, size_t gpu,
					 size_t profile, enum capacity_limit limit)
{
	const struct gpu_load *load = &capacity->loads[gpu];
	const char *name = capacity->inventory->profiles[profile].name;

	switch (limit) {
	case LIMIT_BARRED:
		return barred_text(&capacity->inventory->gpus[gpu]);
	case LIMIT_SUSPECT:
		return text("%s", suspect_text(&capacity->inventory->gpus[gpu]));
	case LIMIT_NOT_OFFERED:
		return text("has no profile %s", name);
	case LIMIT_SIZE_LOCKED:
		return text("locked to %d MiB by %u vGPU%s", load->framebuffer_mb, load->live,
			    plural(load->live));
	case LIMIT_FULL:
		return text("full: carries %u vGPU%s, as many as it can of this size", load->live,
			    plural(load->live));
	case LIMIT_NO_SLOT:
		if (load->shunned)
			return text("no free slot: %u of %u used, and %s is not used: %s",
				    load->used_slots, load->total_slots,
				    PCI_STR(load->shunned->slot), load->shunned->reason);
		return text("no free slot: %u of %u used", load->used_slots, load->total_slots);
	case LIMIT_DRIVER:
		return text("has %u free slot%s, but its driver offers %s on none of them",
			    load->free_slots, plural(load->free_slots), name);
	case LIMIT_UNKNOWN:
		if (load->live == 0)
			return text("its files could not be read: whether it has %s is not known",
				    name);
		return text("cannot tell whether %s fits beside its %u vGPU%s", name, load->live,
			    plural(load->live));
	case LIMIT_NONE:
		break;
	}
	return text("%s", "");
}

/* The driver itself says how much is left, whatever is there. */
static bool has_known_budget(const struct capacity *capacity, size_t gpu)
{
	const struct inventory_gpu *g = &capacity->inventory->gpus[gpu];

	return g->slot_count && capacity->inventory->slots[g->first_slot].shared && !g->stale;
}

static bool is_unknown_maximum(const struct inventory_offer *offer)
{
	return offer->max_instance == OPS_UNKNOWN || offer->max_may_be_more;
}

/* All functions of a GPU offer the same types. */
static bool has_unknown_maximum(const struct capacity *capacity, size_t gpu)
{
	const struct inventory *inventory = capacity->inventory;
	const struct inventory_gpu *g = &inventory->gpus[gpu];
	const struct inventory_slot *first = &inventory->slots[g->first_slot];

	if (g->slot_count == 0 || first->shared)
		return false;
	for (size_t i = 0; i < first->offer_count; i++)
		if (is_unknown_maximum(&inventory->offers[first->first_offer + i]))
			return true;
	return false;
}

struct capacity_text capacity_gpu_text(const struct capacity *capacity, size_t gpu)
{
	const struct inventory_gpu *g = &capacity->inventory->gpus[gpu];
	const struct gpu_load *load = &capacity->loads[gpu];

	if (g->barred)
		return barred_text(g);
	if (g->suspect)
		return text("%s", suspect_text(g));
	if (g->framework == FRAMEWORK_UNKNOWN)
		return text("its files could not be read: what it offers is not known");
	if (g->framework == FRAMEWORK_PASSTHROUGH)
		return text("%s", "");
	if (load->sliced)
		return text(
			"in MIG mode: only the driver knows its instances, figures are lower bounds");
	if (load->sizes_mixed)
		return text(
			"sizes may be mixed: only the driver knows what fits, figures are lower bounds");
	if (load->live && load->framebuffer_mb == OPS_UNKNOWN && !has_known_budget(capacity, gpu))
		return text("carries a vGPU of unknown size: figures are lower bounds");
	if (g->incomplete)
		return text("part of its files could not be read: figures are lower bounds");
	if (has_unknown_maximum(capacity, gpu))
		return text(
			"the maximum of some of its types is not known: their figures are lower bounds");
	if (load->shunned)
		return text("%s is not used: %s", PCI_STR(load->shunned->slot),
			    load->shunned->reason);
	if (load->suspect)
		return text("the kernel does not answer for one of its slots");
	if (load->live && load->framebuffer_mb != OPS_UNKNOWN)
		return text("locked to %d MiB by %u vGPU%s", load->framebuffer_mb, load->live,
			    plural(load->live));
	return text("%s", "");
}
