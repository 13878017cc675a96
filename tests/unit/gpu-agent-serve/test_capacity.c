/* SPDX-License-Identifier: Apache-2.0 */
/* Figures and placement against a model of the driver that knows nothing of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_kernel.h"
#include "gpu-agent/serve/capacity.h"
#include "gpu-agent/serve/host_view.h"
#include "gpu-agent/serve/placement.h"
#include "gpu-agent/serve/profile_name.h"

static const struct placement_wish pack;

/* An inventory with its capacity, as one scan of the model gives them. */
struct seen {
	struct catalogue catalogue;
	struct inventory *inventory;
	struct capacity capacity;
};

static struct capacity_input no_claims(const struct inventory *inventory)
{
	return (struct capacity_input){ .inventory = inventory };
}

/* Frees the records. */
static void see(struct op_record *records, size_t count, struct seen *seen)
{
	struct capacity_input input;

	*seen = (struct seen){ 0 };
	assert_int_equal(inventory_new(records, count, &seen->catalogue, &seen->inventory), 0);
	free(records);
	input = no_claims(seen->inventory);
	assert_int_equal(capacity_init(&seen->capacity, &input), 0);
}

static void look(const struct fake_kernel *kernel, struct seen *seen)
{
	struct op_record *records;
	size_t count = fake_kernel_scan(kernel, &records);

	see(records, count, seen);
}

static void forget(struct seen *seen)
{
	capacity_done(&seen->capacity);
	inventory_free(seen->inventory);
	catalogue_done(&seen->catalogue);
}

static unsigned available(const struct fake_kernel *kernel, const char *profile)
{
	struct seen seen;
	unsigned count;

	look(kernel, &seen);
	count = capacity_available(&seen.capacity, inventory_find_profile(seen.inventory, profile));
	forget(&seen);
	return count;
}

static unsigned next_uuid;

static int create_anywhere(struct fake_kernel *kernel, int gpu, int type)
{
	char uuid[OPS_UUID_SIZE];

	fake_uuid(uuid, ++next_uuid);
	for (int vf = 0; vf < FAKE_VFS; vf++)
		if (fake_kernel_create(kernel, gpu, vf, type, uuid) == 0)
			return 0;
	return -1;
}

static void a_fresh_host_has_the_documented_figures(void **state)
{
	struct fake_kernel kernel;

	(void)state;
	fake_kernel_init(&kernel, 2);

	assert_int_equal(available(&kernel, "L40S-1Q"), 64);
	assert_int_equal(available(&kernel, "L40S-2Q"), 48);
	assert_int_equal(available(&kernel, "L40S-4Q"), 24);
	assert_int_equal(available(&kernel, "L40S-48Q"), 2);
}

static void one_small_vgpu_locks_its_gpu_against_larger_ones(void **state)
{
	struct fake_kernel kernel;

	(void)state;
	fake_kernel_init(&kernel, 2);
	assert_int_equal(create_anywhere(&kernel, 0, fake_type_find("nvidia-1147")), 0);

	assert_int_equal(available(&kernel, "L40S-1Q"), 63);
	assert_int_equal(available(&kernel, "L40S-1B"), 63);
	assert_int_equal(available(&kernel, "L40S-2Q"), 24);
	assert_int_equal(available(&kernel, "L40S-4Q"), 12);
}

/* Places one vGPU as the agent would. False: refused, and then the driver must refuse too. */
static bool place(struct fake_kernel *kernel, const char *profile)
{
	struct seen seen;
	struct placement placement;
	struct err err;
	char uuid[OPS_UUID_SIZE];
	int gpu, vf, r;

	look(kernel, &seen);
	r = placement_choose(&seen.capacity, inventory_find_profile(seen.inventory, profile), &pack,
			     &placement, &err);
	if (r == 0) {
		fake_uuid(uuid, ++next_uuid);
		assert_true(fake_vf_find(kernel, seen.inventory->slots[placement.slot].address,
					 &gpu, &vf));
		assert_int_equal(fake_kernel_create(kernel, gpu, vf,
						    fake_type_find(placement.offer->type), uuid),
				 0);
	} else {
		assert_int_equal(err.reason, ERR_INSUFFICIENT_CAPACITY);
		assert_int_equal(err.detail_count, kernel->gpu_count);
	}
	forget(&seen);
	return r == 0;
}

static bool driver_takes_one_more(struct fake_kernel *kernel, int type)
{
	for (int gpu = 0; gpu < kernel->gpu_count; gpu++)
		for (int vf = 0; vf < FAKE_VFS; vf++)
			if (fake_kernel_available(kernel, gpu, vf, type))
				return true;
	return false;
}

/* "available: N": N placements succeed one after another, and the driver refuses the next. */
static void check_promise(const struct fake_kernel *kernel, int type)
{
	struct fake_kernel copy = *kernel;
	unsigned promised = available(kernel, fake_types[type].name);

	for (unsigned i = 0; i < promised; i++)
		assert_true(place(&copy, fake_types[type].name));
	assert_false(driver_takes_one_more(&copy, type));
	assert_false(place(&copy, fake_types[type].name));
}

static void step_at_random(struct fake_kernel *kernel)
{
	int gpu = rand() % kernel->gpu_count;
	int vf = rand() % FAKE_VFS;
	int type = rand() % FAKE_TYPES;
	char uuid[OPS_UUID_SIZE];

	switch (rand() % 4) {
	case 0: /* a stranger creates, wherever it likes */
		fake_uuid(uuid, ++next_uuid);
		(void)fake_kernel_create(kernel, gpu, vf, type, uuid);
		break;
	case 1: /* something is removed */
	case 2:
		memset(&kernel->mdevs[gpu][vf], 0, sizeof(kernel->mdevs[gpu][vf]));
		break;
	default:
		(void)place(kernel, fake_types[type].name);
	}
}

static void available_is_kept_after_any_history(void **state)
{
	struct fake_kernel kernel;

	(void)state;
	srand(20240607);
	fake_kernel_init(&kernel, 3);
	for (int step = 0; step < 3000; step++) {
		step_at_random(&kernel);
		if (step % 60 == 0)
			check_promise(&kernel, rand() % FAKE_TYPES);
		if (step % 750 == 749)
			fake_kernel_init(&kernel, 1 + rand() % FAKE_GPUS_MAX);
	}
}

static void claims_count_before_the_kernel_shows_them(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct claim claim = { .slot = fake_vf_address(0, 5), .framebuffer_mb = 1024 };
	struct capacity_input input;

	(void)state;
	fake_kernel_init(&kernel, 2);
	look(&kernel, &seen);
	fake_uuid(claim.uuid, 7);
	input = no_claims(seen.inventory);
	input.claims = &claim;
	input.claim_count = 1;
	capacity_done(&seen.capacity);
	assert_int_equal(capacity_init(&seen.capacity, &input), 0);

	assert_int_equal(capacity_available(&seen.capacity,
					    inventory_find_profile(seen.inventory, "L40S-1Q")),
			 63);
	assert_int_equal(capacity_available(&seen.capacity,
					    inventory_find_profile(seen.inventory, "L40S-4Q")),
			 12);
	assert_int_equal(seen.capacity.loads[0].used_slots, 1);
	forget(&seen);
}

static void a_claim_that_the_kernel_shows_counts_once(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct claim claim = { .slot = fake_vf_address(0, 0), .framebuffer_mb = 1024 };
	struct capacity_input input;

	(void)state;
	fake_kernel_init(&kernel, 1);
	fake_uuid(claim.uuid, 9);
	assert_int_equal(
		fake_kernel_create(&kernel, 0, 0, fake_type_find("nvidia-1147"), claim.uuid), 0);
	look(&kernel, &seen);
	input = no_claims(seen.inventory);
	input.claims = &claim;
	input.claim_count = 1;
	capacity_done(&seen.capacity);
	assert_int_equal(capacity_init(&seen.capacity, &input), 0);

	assert_int_equal(seen.capacity.loads[0].live, 1);
	assert_int_equal(seen.capacity.loads[0].used_slots, 1);
	forget(&seen);
}

static void shunned_slots_are_not_offered(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct troubled_slot troubled = { fake_vf_address(0, 0), true, "it failed" };
	struct capacity_input input;
	struct placement placement;
	struct err err;
	size_t profile;

	(void)state;
	fake_kernel_init(&kernel, 1);
	look(&kernel, &seen);
	input = no_claims(seen.inventory);
	input.troubled = &troubled;
	input.troubled_count = 1;
	capacity_done(&seen.capacity);
	assert_int_equal(capacity_init(&seen.capacity, &input), 0);
	profile = inventory_find_profile(seen.inventory, "L40S-1Q");

	assert_int_equal(capacity_available(&seen.capacity, profile), 31);
	assert_int_equal(placement_choose(&seen.capacity, profile, &pack, &placement, &err), 0);
	assert_int_not_equal(
		pci_addr_compare(seen.inventory->slots[placement.slot].address, troubled.slot), 0);
	assert_string_equal(capacity_gpu_text(&seen.capacity, 0).s,
			    "0000:41:00.4 is not used: it failed");
	forget(&seen);
}

static void a_slot_that_failed_once_is_the_last_choice(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct troubled_slot troubled = { fake_vf_address(0, 0), false, "it failed" };
	struct capacity_input input;
	struct placement placement;
	struct err err;
	size_t profile;

	(void)state;
	fake_kernel_init(&kernel, 1);
	look(&kernel, &seen);
	input = no_claims(seen.inventory);
	input.troubled = &troubled;
	input.troubled_count = 1;
	capacity_done(&seen.capacity);
	assert_int_equal(capacity_init(&seen.capacity, &input), 0);
	profile = inventory_find_profile(seen.inventory, "L40S-1Q");

	assert_int_equal(capacity_available(&seen.capacity, profile), 32);
	assert_int_equal(placement_choose(&seen.capacity, profile, &pack, &placement, &err), 0);
	assert_int_equal(placement.slot, 1);
	for (int slot = 1; slot < FAKE_VFS; slot++)
		seen.capacity.slots[slot] = SLOT_USED;
	assert_int_equal(placement_choose(&seen.capacity, profile, &pack, &placement, &err), 0);
	assert_int_equal(placement.slot, 0);
	forget(&seen);
}

static void packing_prefers_the_locked_gpu_and_keeps_an_empty_one(void **state)
{
	struct fake_kernel kernel;

	(void)state;
	fake_kernel_init(&kernel, 3);
	assert_int_equal(create_anywhere(&kernel, 1, fake_type_find("nvidia-1148")), 0);
	for (int i = 0; i < 23; i++)
		assert_true(place(&kernel, "L40S-2Q"));

	assert_int_equal(available(&kernel, "L40S-48Q"), 2);
	assert_int_equal(available(&kernel, "L40S-2Q"), 48);
}

static void a_suspect_gpu_comes_last(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct claim claim = { .slot = fake_vf_address(0, 0),
			       .framebuffer_mb = 1024,
			       .suspect = true };
	struct capacity_input input;
	struct placement placement;
	struct err err;

	(void)state;
	fake_kernel_init(&kernel, 2);
	look(&kernel, &seen);
	fake_uuid(claim.uuid, 3);
	input = no_claims(seen.inventory);
	input.claims = &claim;
	input.claim_count = 1;
	capacity_done(&seen.capacity);
	assert_int_equal(capacity_init(&seen.capacity, &input), 0);

	assert_int_equal(placement_choose(&seen.capacity,
					  inventory_find_profile(seen.inventory, "L40S-1Q"), &pack,
					  &placement, &err),
			 0);
	assert_int_equal(placement.gpu, 1);
	forget(&seen);
}

static size_t gpu_for(const struct seen *seen, const char *profile,
		      const struct placement_wish *wish)
{
	struct placement placement;
	struct err err;

	assert_int_equal(placement_choose(&seen->capacity,
					  inventory_find_profile(seen->inventory, profile), wish,
					  &placement, &err),
			 0);
	return placement.gpu;
}

static void spreading_takes_the_gpu_with_the_fewest_vgpus(void **state)
{
	const struct placement_wish spread = { .spread = true };
	struct fake_kernel kernel;
	struct seen seen;

	(void)state;
	fake_kernel_init(&kernel, 3);
	assert_int_equal(create_anywhere(&kernel, 0, fake_type_find("nvidia-1148")), 0);
	assert_int_equal(create_anywhere(&kernel, 0, fake_type_find("nvidia-1148")), 0);
	assert_int_equal(create_anywhere(&kernel, 1, fake_type_find("nvidia-1148")), 0);
	assert_int_equal(create_anywhere(&kernel, 2, fake_type_find("nvidia-1156")), 0);
	look(&kernel, &seen);

	assert_int_equal(gpu_for(&seen, "L40S-2Q", &spread), 1); /* 2 has fewest, and no room */
	assert_int_equal(gpu_for(&seen, "L40S-2Q", &pack), 0);
	forget(&seen);
}

static void a_node_is_a_wish_and_no_condition(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;

	(void)state;
	fake_kernel_init(&kernel, 3);
	assert_int_equal(create_anywhere(&kernel, 0, fake_type_find("nvidia-1148")), 0);
	look(&kernel, &seen);
	seen.inventory->gpus[2].numa_node = 1;

	assert_int_equal(gpu_for(&seen, "L40S-2Q",
				 &(struct placement_wish){ .has_node = true, .numa_node = 0 }),
			 0);
	assert_int_equal(gpu_for(&seen, "L40S-2Q",
				 &(struct placement_wish){ .has_node = true, .numa_node = 1 }),
			 2);
	assert_int_equal(gpu_for(&seen, "L40S-2Q",
				 &(struct placement_wish){ .has_node = true, .numa_node = 7 }),
			 0);
	forget(&seen);
}

static void a_refusal_says_why_for_each_gpu(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct placement placement;
	struct err err;

	(void)state;
	fake_kernel_init(&kernel, 2);
	assert_int_equal(create_anywhere(&kernel, 0, fake_type_find("nvidia-1147")), 0);
	assert_int_equal(create_anywhere(&kernel, 1, fake_type_find("nvidia-1156")), 0);
	look(&kernel, &seen);

	assert_int_equal(placement_choose(&seen.capacity,
					  inventory_find_profile(seen.inventory, "L40S-48Q"), &pack,
					  &placement, &err),
			 -1);
	assert_int_equal(err.detail_count, 2);
	assert_string_equal(err.details[0].type, "size_locked");
	assert_string_equal(err.details[0].subject, "0000:41:00.0");
	assert_string_equal(err.details[0].message, "locked to 1024 MiB by 1 vGPU");
	assert_string_equal(err.details[1].type, "full");
	forget(&seen);
}

static void mixed_sizes_give_a_lower_bound_that_says_so(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;

	(void)state;
	fake_kernel_init(&kernel, 1);
	kernel.mixed_sizes = true;
	assert_int_equal(create_anywhere(&kernel, 0, fake_type_find("nvidia-1147")), 0);
	look(&kernel, &seen);

	assert_int_equal(capacity_available(&seen.capacity,
					    inventory_find_profile(seen.inventory, "L40S-4Q")),
			 1);
	assert_non_null(strstr(capacity_gpu_text(&seen.capacity, 0).s, "lower bounds"));
	forget(&seen);
}

/* The driver tells how many one GPU carries at most, not how many instances there are. */
static void a_mig_instance_is_promised_one_at_a_time(void **state)
{
	struct fake_kernel kernel;
	struct op_record *records;
	struct seen seen;
	size_t count;

	(void)state;
	fake_kernel_init(&kernel, 2);
	count = fake_kernel_scan(&kernel, &records);
	for (size_t i = 0; i < count; i++)
		if (records[i].kind == OP_RECORD_MDEV_TYPE &&
		    strcmp(records[i].mdev_type.name, "NVIDIA L40S-2Q") == 0)
			strcpy(records[i].mdev_type.name, "NVIDIA L40S-1-2Q");
	see(records, count, &seen);

	assert_int_equal(capacity_available(&seen.capacity,
					    inventory_find_profile(seen.inventory, "L40S-1-2Q")),
			 2);
	assert_non_null(strstr(capacity_gpu_text(&seen.capacity, 0).s, "in MIG mode"));
	forget(&seen);
}

/* A change of ours makes available_instances old: the rule alone decides then. */
static void stale_figures_are_not_believed(void **state)
{
	struct fake_kernel kernel;
	struct seen seen;
	struct op_mdev mdev = { .parent = fake_vf_address(0, 0), .type = "nvidia-1147" };
	struct capacity_input input;

	(void)state;
	fake_kernel_init(&kernel, 1);
	look(&kernel, &seen);
	fake_uuid(mdev.uuid, 1);
	assert_int_equal(inventory_add_vgpu(seen.inventory, &mdev, &seen.catalogue), 0);
	capacity_done(&seen.capacity);
	input = no_claims(seen.inventory);
	assert_int_equal(capacity_init(&seen.capacity, &input), 0);

	assert_int_equal(capacity_available(&seen.capacity,
					    inventory_find_profile(seen.inventory, "L40S-1Q")),
			 31);
	assert_int_equal(capacity_available(&seen.capacity,
					    inventory_find_profile(seen.inventory, "L40S-4Q")),
			 0);
	forget(&seen);
}

static void the_view_is_ordered_as_the_product_document_prints_it(void **state)
{
	static const char *const order[] = { "L40S-1Q", "L40S-2Q", "L40S-4Q", "L40S-48Q",
					     "L40S-1B", "L40S-2A", "L40S-4A" };
	struct fake_kernel kernel;
	struct seen seen;
	struct host_view *view;

	(void)state;
	fake_kernel_init(&kernel, 2);
	look(&kernel, &seen);
	view = host_view_new(&seen.capacity, 1);

	assert_int_equal(view->mode, HOST_MODE_VGPU);
	assert_int_equal(view->total_slots, 64);
	assert_int_equal(view->used_slots, 0);
	assert_int_equal(view->profile_count, FAKE_TYPES);
	for (size_t i = 0; i < FAKE_TYPES; i++)
		assert_string_equal(view->profiles[i].name, order[i]);
	assert_int_equal(view->profiles[0].framebuffer_mb, 1024);
	host_view_unref(view);
	forget(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_host_has_the_documented_figures),
		cmocka_unit_test(one_small_vgpu_locks_its_gpu_against_larger_ones),
		cmocka_unit_test(available_is_kept_after_any_history),
		cmocka_unit_test(claims_count_before_the_kernel_shows_them),
		cmocka_unit_test(a_claim_that_the_kernel_shows_counts_once),
		cmocka_unit_test(shunned_slots_are_not_offered),
		cmocka_unit_test(a_slot_that_failed_once_is_the_last_choice),
		cmocka_unit_test(packing_prefers_the_locked_gpu_and_keeps_an_empty_one),
		cmocka_unit_test(spreading_takes_the_gpu_with_the_fewest_vgpus),
		cmocka_unit_test(a_node_is_a_wish_and_no_condition),
		cmocka_unit_test(a_suspect_gpu_comes_last),
		cmocka_unit_test(a_refusal_says_why_for_each_gpu),
		cmocka_unit_test(mixed_sizes_give_a_lower_bound_that_says_so),
		cmocka_unit_test(a_mig_instance_is_promised_one_at_a_time),
		cmocka_unit_test(stale_figures_are_not_believed),
		cmocka_unit_test(the_view_is_ordered_as_the_product_document_prints_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
