/* SPDX-License-Identifier: Apache-2.0 */
/* What scans of hosts with the vendor VFIO framework become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_kernel.h"
#include "gpu-agent/serve/host_view.h"

#define FUNCTIONS 4

struct listed {
	uint32_t id;
	const char *name;
};

static const struct listed l40s[] = {
	{ 1147, "NVIDIA L40S-1Q" },  { 1148, "NVIDIA L40S-2Q" },  { 1154, "NVIDIA L40S-16Q" },
	{ 1156, "NVIDIA L40S-48Q" }, { 1164, "NVIDIA L40S-16A" }, { 0, NULL },
};
static const struct listed sixteen[] = {
	{ 1154, "NVIDIA L40S-16Q" },
	{ 1164, "NVIDIA L40S-16A" },
	{ 0, NULL },
};
static const struct listed nothing[] = { { 0, NULL } };

/* Records of a scan of one GPU, being put together. */
struct host {
	struct op_record records[64];
	size_t count;
	struct op_vendor_vf *functions[FUNCTIONS];
};

static struct op_record *add(struct host *host, enum op_record_kind kind)
{
	struct op_record *record = &host->records[host->count++];

	memset(record, 0, sizeof(*record));
	record->version = OPS_VERSION;
	record->kind = kind;
	return record;
}

static struct op_pci *add_pci(struct host *host, struct pci_addr address)
{
	struct op_pci *pci = &add(host, OP_RECORD_PCI)->pci;

	pci->address = address;
	pci->vendor = 0x10de;
	pci->device = 0x26b9;
	pci->class_code = 0x030200;
	pci->iommu_group = 36U + address.function;
	strcpy(pci->name, "NVIDIA L40S");
	return pci;
}

/* Each function lists what `listed` says. */
static void fill(struct host *host, const struct listed *listed)
{
	*host = (struct host){ 0 };
	add_pci(host, fake_gpu_address(0))->sriov_enabled = FUNCTIONS;
	for (int i = 0; i < FUNCTIONS; i++) {
		struct op_pci *pci = add_pci(host, fake_vf_address(0, i));

		pci->is_virtual = pci->has_vendor_vfio = 1;
		pci->physfn = fake_gpu_address(0);
		host->functions[i] = &add(host, OP_RECORD_VENDOR_VF)->vendor_vf;
		host->functions[i]->address = pci->address;
		host->functions[i]->list_known = 1;
		for (const struct listed *type = listed; type->name; type++) {
			struct op_vendor_type *said =
				&add(host, OP_RECORD_VENDOR_TYPE)->vendor_type;

			said->address = pci->address;
			said->id = type->id;
			strcpy(said->name, type->name);
		}
	}
}

static struct inventory *build(const struct host *host, const struct catalogue *catalogue)
{
	static const struct catalogue empty;
	struct inventory *inventory;

	assert_int_equal(inventory_new(host->records, host->count, catalogue ? catalogue : &empty,
				       &inventory),
			 0);
	return inventory;
}

static struct host_view *view_of(const struct host *host, const struct catalogue *catalogue)
{
	struct inventory *inventory = build(host, catalogue);
	const struct capacity_input input = { .inventory = inventory };
	struct capacity capacity;
	struct host_view *view;

	assert_int_equal(capacity_init(&capacity, &input), 0);
	view = host_view_new(&capacity, 1);
	capacity_done(&capacity);
	inventory_free(inventory);
	return view;
}

static int available(const struct host_view *view, const char *profile)
{
	for (size_t i = 0; i < view->profile_count; i++)
		if (strcmp(view->profiles[i].name, profile) == 0)
			return (int)view->profiles[i].available;
	return -1;
}

static struct catalogue learn(void)
{
	struct catalogue catalogue = { 0 };
	struct host host;
	struct inventory *inventory;

	fill(&host, l40s);
	inventory = build(&host, NULL);
	assert_int_equal(inventory_teach(inventory, &catalogue), 5);
	inventory_free(inventory);
	return catalogue;
}

static void an_empty_gpu_offers_what_board_and_functions_allow(void **state)
{
	struct host host;
	struct host_view *view;

	(void)state;
	fill(&host, l40s);
	view = view_of(&host, NULL);

	assert_int_equal(view->mode, HOST_MODE_VGPU);
	assert_int_equal(view->gpus[0].framework, FRAMEWORK_VENDOR_VFIO);
	assert_int_equal(view->total_slots, FUNCTIONS);
	assert_int_equal(view->used_slots, 0);
	assert_int_equal(available(view, "L40S-1Q"), FUNCTIONS);
	assert_int_equal(available(view, "L40S-16Q"), 3);
	assert_int_equal(available(view, "L40S-16A"), 3);
	assert_int_equal(available(view, "L40S-48Q"), 1);
	assert_string_equal(view->gpus[0].reason, "");
	host_view_unref(view);
}

static void somebody_elses_type_locks_the_gpu_and_counts(void **state)
{
	struct catalogue catalogue = learn();
	struct host host;
	struct host_view *view;
	struct inventory *inventory;

	(void)state;
	fill(&host, sixteen); /* what still fits */
	host.functions[1]->current_type = 1154;
	view = view_of(&host, &catalogue);
	inventory = build(&host, &catalogue);

	assert_int_equal(view->used_slots, 1);
	assert_int_equal(view->gpus[0].locked_framebuffer_mb, 16384);
	assert_int_equal(available(view, "L40S-16Q"), 2);
	assert_int_equal(available(view, "L40S-16A"), 2);
	assert_int_equal(available(view, "L40S-1Q"), 0);
	assert_int_equal(inventory->vgpu_count, 1);
	assert_false(inventory->vgpus[0].in_journal);
	inventory_free(inventory);
	host_view_unref(view);
	catalogue_done(&catalogue);
}

/* Profiles stay listed, and ids keep their names, though no function lists anything. */
static void the_catalogue_survives_a_list_that_has_shrunk_to_nothing(void **state)
{
	struct catalogue catalogue = learn();
	struct host host;
	struct host_view *view;

	(void)state;
	fill(&host, nothing);
	host.functions[0]->current_type = 1156;
	view = view_of(&host, &catalogue);

	assert_int_equal(view->profile_count, 5);
	assert_int_equal(available(view, "L40S-48Q"), 0);
	assert_int_equal(view->gpus[0].locked_framebuffer_mb, 49152);
	host_view_unref(view);
	catalogue_done(&catalogue);
}

static void a_vgpu_of_ours_is_known_by_its_allocation(void **state)
{
	struct host host;
	struct inventory *inventory;
	char ours[OPS_UUID_SIZE], other[OPS_UUID_SIZE];

	(void)state;
	fake_uuid(ours, 1);
	fake_uuid(other, 2);
	fill(&host, sixteen);
	host.functions[0]->current_type = 1154;
	host.functions[0]->in_journal = 1;
	strcpy(host.functions[0]->uuid, ours);
	host.functions[1]->current_type = OPS_UNKNOWN;
	inventory = build(&host, NULL);

	assert_int_equal(inventory_find_vgpu(inventory, ours)->iommu_group, 40);
	assert_int_equal(inventory_presence(inventory, ours, fake_vf_address(0, 0)),
			 PRESENCE_PRESENT);
	assert_int_equal(inventory_presence(inventory, other, fake_vf_address(0, 1)),
			 PRESENCE_UNKNOWN);
	assert_int_equal(inventory_presence(inventory, other, fake_vf_address(0, 2)),
			 PRESENCE_ABSENT);
	inventory_free(inventory);
}

/* A scan that began between the two: it reads the type, but not yet that root set it. */
static void one_that_was_set_a_moment_ago_counts_once(void **state)
{
	struct catalogue catalogue = learn();
	struct host host;
	struct inventory *inventory;
	struct op_mdev ours = { .parent = fake_vf_address(0, 1), .type = "1154" };
	struct claim claim = { .slot = ours.parent, .framebuffer_mb = 16384 };
	struct capacity_input input = { .claims = &claim, .claim_count = 1 };
	struct capacity capacity;

	(void)state;
	fill(&host, sixteen);
	host.functions[1]->current_type = 1154;
	inventory = build(&host, &catalogue);
	fake_uuid(ours.uuid, 1);
	fake_uuid(claim.uuid, 1);
	input.inventory = inventory;
	assert_int_equal(capacity_init(&capacity, &input), 0);
	assert_int_equal(capacity.loads[0].live, 1);
	capacity_done(&capacity);

	assert_int_equal(inventory_add_vgpu(inventory, &ours, &catalogue), 0);
	assert_int_equal(inventory->vgpu_count, 1);
	assert_string_equal(inventory->vgpus[0].uuid, ours.uuid);
	assert_int_equal(capacity_init(&capacity, &input), 0);
	assert_int_equal(capacity.loads[0].live, 1);
	capacity_done(&capacity);
	inventory_free(inventory);
	catalogue_done(&catalogue);
}

static void a_board_that_is_not_known_has_a_lower_bound_and_a_reason(void **state)
{
	static const struct listed new_board[] = {
		{ 1, "NVIDIA B300-2Q" },
		{ 2, "NVIDIA B300-1-4Q" },
		{ 3, "NVIDIA B300-6Q" },
		{ 0, NULL },
	};
	struct host host;
	struct host_view *view;

	(void)state;
	fill(&host, new_board);
	view = view_of(&host, NULL);

	assert_int_equal(available(view, "B300-2Q"), 3); /* the room of one 6Q */
	assert_int_equal(available(view, "B300-6Q"), 1);
	assert_int_equal(available(view, "B300-1-4Q"), 1);
	assert_non_null(strstr(view->gpus[0].reason, "lower bounds"));
	host_view_unref(view);

	host.functions[0]->current_type = 3; /* the driver's list still has it: there is more */
	view = view_of(&host, NULL);
	assert_int_equal(available(view, "B300-6Q"), 1);
	host_view_unref(view);
}

static void functions_that_cannot_be_read_offer_nothing(void **state)
{
	struct catalogue catalogue = learn();
	struct host host;
	struct host_view *view;

	(void)state;
	fill(&host, l40s);
	host.functions[0]->list_known = 0;
	view = view_of(&host, &catalogue);
	assert_int_equal(available(view, "L40S-1Q"), FUNCTIONS - 1);
	host_view_unref(view);

	host.functions[1]->current_type = OPS_UNKNOWN; /* what fits beside it is not known */
	view = view_of(&host, &catalogue);
	assert_int_equal(available(view, "L40S-1Q"), 1);
	assert_non_null(strstr(view->gpus[0].reason, "could not be read"));
	host_view_unref(view);
	catalogue_done(&catalogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_gpu_offers_what_board_and_functions_allow),
		cmocka_unit_test(somebody_elses_type_locks_the_gpu_and_counts),
		cmocka_unit_test(the_catalogue_survives_a_list_that_has_shrunk_to_nothing),
		cmocka_unit_test(a_vgpu_of_ours_is_known_by_its_allocation),
		cmocka_unit_test(one_that_was_set_a_moment_ago_counts_once),
		cmocka_unit_test(a_board_that_is_not_known_has_a_lower_bound_and_a_reason),
		cmocka_unit_test(functions_that_cannot_be_read_offer_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
