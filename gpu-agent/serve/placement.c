/* SPDX-License-Identifier: Apache-2.0 */
#include "placement.h"

struct candidate {
	size_t gpu;
	unsigned room, live;
	bool suspect, far;
};

/* Equal: the first one, by address. */
static bool is_better(const struct candidate *a, const struct candidate *b,
		      const struct placement_wish *wish)
{
	if (a->suspect != b->suspect)
		return !a->suspect;
	if (a->far != b->far)
		return !a->far;
	if (wish->spread)
		return a->live < b->live || (a->live == b->live && a->room > b->room);
	if (!a->live != !b->live)
		return a->live > 0;
	return a->room < b->room;
}

static size_t choose_gpu(const struct capacity *capacity, size_t profile,
			 const struct placement_wish *wish)
{
	struct candidate best = { .gpu = INVENTORY_NONE };

	for (size_t i = 0; i < capacity->inventory->gpu_count; i++) {
		struct candidate candidate = {
			.gpu = i,
			.room = capacity_on_gpu(capacity, i, profile).count,
			.suspect = capacity->loads[i].suspect,
			.live = capacity->loads[i].live,
			.far = wish->has_node &&
			       wish->numa_node != capacity->inventory->gpus[i].numa_node,
		};

		if (candidate.room &&
		    (best.gpu == INVENTORY_NONE || is_better(&candidate, &best, wish)))
			best = candidate;
	}
	return best.gpu;
}

static bool is_usable(const struct capacity *capacity, size_t slot, size_t profile)
{
	const struct inventory_slot *s = &capacity->inventory->slots[slot];
	const struct inventory_offer *offer =
		inventory_offer_of(capacity->inventory, slot, profile);

	if (!offer || (!capacity->inventory->gpus[s->gpu].stale && offer->available == 0))
		return false;
	return capacity->slots[slot] == SLOT_FREE ||
	       (s->shared && capacity->slots[slot] == SLOT_USED);
}

/* The first one where nothing failed lately, else the first one. */
static size_t choose_slot(const struct capacity *capacity, size_t gpu, size_t profile)
{
	const struct inventory_gpu *g = &capacity->inventory->gpus[gpu];
	size_t last_choice = INVENTORY_NONE;

	for (size_t s = g->first_slot; s < g->first_slot + g->slot_count; s++) {
		if (!is_usable(capacity, s, profile))
			continue;
		if (!capacity->doubtful[s])
			return s;
		if (last_choice == INVENTORY_NONE)
			last_choice = s;
	}
	return last_choice;
}

static int refuse(const struct capacity *capacity, size_t profile, struct err *err)
{
	const struct inventory *inventory = capacity->inventory;

	err_set(err, ERR_INSUFFICIENT_CAPACITY, "no GPU of this host has room for a %s now",
		inventory->profiles[profile].name);
	for (size_t i = 0; i < inventory->gpu_count; i++) {
		enum capacity_limit limit;

		if (inventory->gpus[i].framework == FRAMEWORK_PASSTHROUGH)
			continue;
		limit = capacity_on_gpu(capacity, i, profile).limit;
		err_add_detail(err, capacity_limit_word(limit), PCI_STR(inventory->gpus[i].address),
			       "%s", capacity_limit_text(capacity, i, profile, limit).s);
	}
	return -1;
}

int placement_choose(const struct capacity *capacity, size_t profile,
		     const struct placement_wish *wish, struct placement *ret, struct err *err)
{
	size_t gpu = choose_gpu(capacity, profile, wish);
	size_t slot = gpu == INVENTORY_NONE ? INVENTORY_NONE : choose_slot(capacity, gpu, profile);

	if (slot == INVENTORY_NONE)
		return refuse(capacity, profile, err);
	*ret = (struct placement){
		.gpu = gpu,
		.slot = slot,
		.offer = inventory_offer_of(capacity->inventory, slot, profile),
	};
	return 0;
}
