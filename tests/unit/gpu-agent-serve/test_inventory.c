/* SPDX-License-Identifier: Apache-2.0 */
/* What scans of different hosts become. */
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

#define RECORDS_MAX 64

/* Records of a scan, being put together. */
struct host {
	struct op_record records[RECORDS_MAX];
	size_t count;
};

static struct pci_addr address(const char *text)
{
	struct pci_addr addr;

	assert_int_equal(pci_addr_parse(text, &addr), 0);
	return addr;
}

static struct op_record *add(struct host *host, enum op_record_kind kind)
{
	struct op_record *record = &host->records[host->count++];

	memset(record, 0, sizeof(*record));
	record->version = OPS_VERSION;
	record->kind = kind;
	return record;
}

static struct op_pci *add_gpu(struct host *host, const char *text)
{
	struct op_pci *pci = &add(host, OP_RECORD_PCI)->pci;

	pci->address = address(text);
	pci->vendor = 0x10de;
	pci->device = 0x26b9;
	pci->class_code = 0x030200;
	pci->iommu_group = 36;
	pci->numa_node = 1;
	strcpy(pci->driver, "nvidia");
	strcpy(pci->name, "NVIDIA L40S");
	return pci;
}

static struct op_pci *add_vf(struct host *host, const char *text, const char *physfn)
{
	struct op_pci *pci = add_gpu(host, text);

	pci->is_virtual = pci->is_mdev_parent = 1;
	pci->physfn = address(physfn);
	return pci;
}

static struct op_mdev_type *add_type(struct host *host, const char *parent, const char *type,
				     const char *name, int32_t framebuffer_mb, int32_t max,
				     int32_t available)
{
	struct op_mdev_type *t = &add(host, OP_RECORD_MDEV_TYPE)->mdev_type;

	t->parent = address(parent);
	strcpy(t->type, type);
	strcpy(t->name, name);
	t->framebuffer_mb = framebuffer_mb;
	t->max_instance = max;
	t->available = available;
	return t;
}

static struct op_mdev *add_mdev(struct host *host, unsigned uuid, const char *parent,
				const char *type)
{
	struct op_mdev *mdev = &add(host, OP_RECORD_MDEV)->mdev;

	fake_uuid(mdev->uuid, uuid);
	mdev->parent = address(parent);
	strcpy(mdev->type, type);
	return mdev;
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

static void an_empty_host_has_no_mode(void **state)
{
	const struct host host = { 0 };
	struct host_view *view = view_of(&host, NULL);

	(void)state;
	assert_int_equal(view->mode, HOST_MODE_NONE);
	host_view_unref(view);
}

static void whole_gpus_are_for_passthrough(void **state)
{
	struct host host = { 0 };
	struct host_view *view;

	(void)state;
	add_gpu(&host, "0000:41:00.0");
	strcpy(add_gpu(&host, "0000:61:00.0")->driver, "vfio-pci"); /* a stranger has it */
	add_gpu(&host, "0000:62:00.0")->iommu_group = OPS_NO_GROUP;
	add_gpu(&host, "0000:63:00.0")->is_boot_display = 1;
	add_gpu(&host, "0000:64:00.0")->sriov_enabled = OPS_UNKNOWN;
	add_gpu(&host, "0000:65:00.0")->sriov_enabled = 32;
	add_gpu(&host, "0000:66:00.0")->incomplete = 1;
	add_gpu(&host, "0000:67:00.1")->class_code = 0x040300;
	view = view_of(&host, NULL);

	assert_int_equal(view->mode, HOST_MODE_PASSTHROUGH);
	assert_int_equal(view->gpu_count, 4);
	assert_true(view->gpus[0].available);
	assert_false(view->gpus[1].available);
	assert_false(view->gpus[2].available);
	assert_int_equal(view->gpus[3].framework, FRAMEWORK_UNKNOWN);
	assert_string_equal(view->gpus[3].reason,
			    "its files could not be read: what it offers is not known");
	assert_int_equal(view->total_slots, 3);
	assert_int_equal(view->used_slots, 2);
	assert_string_equal(view->gpus[0].name, "NVIDIA L40S");
	host_view_unref(view);
}

static void a_mixed_host_is_in_vgpu_mode_and_lists_whole_gpus_beside(void **state)
{
	struct host host = { 0 };
	struct host_view *view;

	(void)state;
	add_gpu(&host, "0000:82:00.0");
	add_gpu(&host, "0000:41:00.0")->sriov_enabled = 1;
	add_vf(&host, "0000:41:00.4", "0000:41:00.0");
	add_type(&host, "0000:41:00.4", "nvidia-1147", "NVIDIA L40S-1Q", 1024, 32, 1);
	view = view_of(&host, NULL);

	assert_int_equal(view->mode, HOST_MODE_VGPU);
	assert_int_equal(view->total_slots, 1);
	assert_int_equal(view->gpu_count, 2);
	assert_int_equal(view->gpus[0].framework, FRAMEWORK_MDEV);
	assert_int_equal(view->gpus[1].framework, FRAMEWORK_PASSTHROUGH);
	assert_true(view->gpus[1].available);
	assert_int_equal(view->profiles[0].available, 1);
	host_view_unref(view);
}

static void a_parent_without_functions_is_a_budget(void **state)
{
	struct host host = { 0 };
	struct host_view *view;

	(void)state;
	add_gpu(&host, "0000:41:00.0")->is_mdev_parent = 1;
	add_type(&host, "0000:41:00.0", "nvidia-230", "GRID T4-1Q", 1024, 16, 13);
	add_type(&host, "0000:41:00.0", "nvidia-231", "GRID T4-2Q", 2048, 8, 0);
	for (unsigned i = 0; i < 3; i++)
		add_mdev(&host, i, "0000:41:00.0", "nvidia-230");
	view = view_of(&host, NULL);

	assert_int_equal(view->total_slots, 16);
	assert_int_equal(view->used_slots, 3);
	assert_string_equal(view->profiles[0].name, "T4-1Q");
	assert_int_equal(view->profiles[0].available, 13);
	assert_int_equal(view->profiles[1].available, 0);
	host_view_unref(view);
}

static void a_barred_gpu_is_listed_but_counts_for_nothing(void **state)
{
	struct host host = { 0 };
	struct inventory *inventory;
	struct capacity_input input = { 0 };
	struct capacity capacity;
	struct host_view *view;

	(void)state;
	add_gpu(&host, "0000:00:02.0")->is_mdev_parent = 1;
	host.records[0].pci.vendor = 0x8086;
	add_type(&host, "0000:00:02.0", "i915-GVTg_V5_4", "", OPS_UNKNOWN, OPS_UNKNOWN, 2);
	add_gpu(&host, "0000:41:00.0");
	inventory = build(&host, NULL);
	inventory->gpus[0].barred = true;
	input.inventory = inventory;
	assert_int_equal(capacity_init(&capacity, &input), 0);
	view = host_view_new(&capacity, 1);

	assert_int_equal(view->mode, HOST_MODE_PASSTHROUGH);
	assert_int_equal(view->total_slots, 1);
	assert_int_equal(view->profile_count, 0);
	assert_int_equal(view->gpu_count, 2);
	assert_string_equal(view->gpus[0].reason,
			    "its vendor 8086 is not in the setting device-vendor");
	host_view_unref(view);
	capacity_done(&capacity);
	inventory_free(inventory);
}

static void types_are_found_whatever_driver_their_parent_has(void **state)
{
	struct host host = { 0 };
	struct inventory *inventory;
	const struct inventory_offer *offer;

	(void)state;
	add_gpu(&host, "0000:e8:00.0")->sriov_enabled = 2;
	add_vf(&host, "0000:e8:00.4", "0000:e8:00.0");
	add_vf(&host, "0000:e8:00.5", "0000:e8:00.0");
	add_type(&host, "0000:e8:00.4", "nvidia-557", "NVIDIA A40-1Q", 1024, 32, 1);
	add_type(&host, "0000:e8:00.5", "vfio-pci-557", "NVIDIA A40-1Q", 1024, 32, 1);
	add_mdev(&host, 1, "0000:e8:00.5", "nvidia-557");
	inventory = build(&host, NULL);

	assert_int_equal(inventory->profile_count, 1);
	offer = inventory_offer_of(inventory, 1, 0);
	assert_string_equal(offer->type, "vfio-pci-557");
	assert_int_equal(inventory->vgpus[0].profile, 0);
	assert_int_equal(inventory_find_profile(inventory, "NVIDIA A40-1Q"), 0);
	assert_int_equal(inventory_find_profile(inventory, "A40-1Q"), 0);
	assert_true(inventory_find_profile(inventory, "a40-1q") == INVENTORY_NONE);
	inventory_free(inventory);
}

/* A full GPU that says less than it did when it was empty. */
static void the_catalogue_fills_what_a_scan_leaves_out(void **state)
{
	struct host full = { 0 }, empty = { 0 };
	struct catalogue catalogue = { 0 };
	struct inventory *inventory;
	struct host_view *view;

	(void)state;
	add_gpu(&empty, "0000:41:00.0")->sriov_enabled = 2;
	add_vf(&empty, "0000:41:00.4", "0000:41:00.0");
	add_type(&empty, "0000:41:00.4", "nvidia-1147", "NVIDIA L40S-1Q", 1024, 32, 1);
	add_type(&empty, "0000:41:00.4", "nvidia-1148", "NVIDIA L40S-2Q", 2048, 24, 1);
	inventory = build(&empty, NULL);
	assert_int_equal(inventory_teach(inventory, &catalogue), 2);
	inventory_free(inventory);

	add_gpu(&full, "0000:41:00.0")->sriov_enabled = 2;
	add_vf(&full, "0000:41:00.4", "0000:41:00.0");
	add_vf(&full, "0000:41:00.5", "0000:41:00.0");
	add_type(&full, "0000:41:00.5", "nvidia-1148", "", OPS_UNKNOWN, OPS_UNKNOWN, 1);
	add_mdev(&full, 1, "0000:41:00.4", "nvidia-1148");
	view = view_of(&full, &catalogue);

	assert_int_equal(view->profile_count, 2);
	assert_string_equal(view->profiles[0].name, "L40S-1Q");
	assert_int_equal(view->profiles[0].available, 0);
	assert_string_equal(view->profiles[1].name, "L40S-2Q");
	assert_int_equal(view->profiles[1].framebuffer_mb, 2048);
	assert_int_equal(view->profiles[1].available, 1);
	assert_int_equal(view->gpus[0].locked_framebuffer_mb, 2048);
	host_view_unref(view);
	catalogue_done(&catalogue);
}

static void a_vgpu_of_unknown_size_leaves_a_lower_bound(void **state)
{
	struct host host = { 0 };
	struct host_view *view;

	(void)state;
	add_gpu(&host, "0000:41:00.0")->sriov_enabled = 3;
	for (int i = 4; i < 7; i++) {
		char vf[] = "0000:41:00.0";

		vf[11] = (char)('0' + i);
		add_vf(&host, vf, "0000:41:00.0");
		add_type(&host, vf, "nvidia-1147", "NVIDIA L40S-1Q", 1024, 32, i > 4);
	}
	add_mdev(&host, 1, "0000:41:00.4", "nvidia-9999");
	view = view_of(&host, NULL);

	assert_int_equal(view->profiles[0].available, 1);
	assert_non_null(strstr(view->gpus[0].reason, "unknown size"));
	host_view_unref(view);
}

/* An unreadable function offers nothing, and what was on it is neither there nor gone. */
static void what_cannot_be_read_is_unknown(void **state)
{
	struct host host = { 0 };
	struct host_view *view;
	struct inventory *inventory;
	char uuid[OPS_UUID_SIZE];

	(void)state;
	add_gpu(&host, "0000:41:00.0")->sriov_enabled = 2;
	add_vf(&host, "0000:41:00.4", "0000:41:00.0")->incomplete = 1;
	add_vf(&host, "0000:41:00.5", "0000:41:00.0");
	add_type(&host, "0000:41:00.4", "nvidia-1147", "NVIDIA L40S-1Q", 1024, 32, 1);
	add_type(&host, "0000:41:00.5", "nvidia-1147", "NVIDIA L40S-1Q", 1024, 32, 1);
	view = view_of(&host, NULL);
	inventory = build(&host, NULL);
	fake_uuid(uuid, 1);

	assert_int_equal(view->profiles[0].available, 1);
	assert_non_null(strstr(view->gpus[0].reason, "could not be read"));
	assert_int_equal(inventory_presence(inventory, uuid, address("0000:41:00.4")),
			 PRESENCE_UNKNOWN);
	assert_int_equal(inventory_presence(inventory, uuid, address("0000:41:00.5")),
			 PRESENCE_ABSENT);
	assert_int_equal(inventory_presence(inventory, uuid, address("0000:99:00.5")),
			 PRESENCE_ABSENT);
	inventory_free(inventory);
	host_view_unref(view);
}

static void unprintable_text_does_not_get_further(void **state)
{
	struct host host = { 0 };
	struct inventory *inventory;

	(void)state;
	strcpy(add_gpu(&host, "0000:41:00.0")->name, "a\x1b[31m\xff");
	inventory = build(&host, NULL);
	assert_string_equal(inventory->gpus[0].name, "a?[31m?");
	inventory_free(inventory);
}

static void patches_are_seen_and_can_be_repeated(void **state)
{
	struct fake_kernel kernel;
	struct op_record *records;
	struct catalogue catalogue = { 0 };
	struct inventory *inventory, *same;
	struct op_mdev mdev = { .parent = fake_vf_address(0, 0), .type = "nvidia-1147" };
	size_t count;

	(void)state;
	fake_kernel_init(&kernel, 1);
	count = fake_kernel_scan(&kernel, &records);
	assert_int_equal(inventory_new(records, count, &catalogue, &inventory), 0);
	assert_int_equal(inventory_new(records, count, &catalogue, &same), 0);
	assert_true(inventory_equal(inventory, same));
	fake_uuid(mdev.uuid, 1);

	assert_int_equal(inventory_add_vgpu(inventory, &mdev, &catalogue), 0);
	assert_int_equal(inventory_add_vgpu(inventory, &mdev, &catalogue), 0);
	assert_int_equal(inventory->vgpu_count, 1);
	assert_true(inventory->gpus[0].stale);
	assert_false(inventory_equal(inventory, same));
	inventory_remove_vgpu(inventory, mdev.uuid);
	inventory_remove_vgpu(inventory, mdev.uuid);
	assert_int_equal(inventory->vgpu_count, 0);
	inventory_free(inventory);
	inventory_free(same);
	free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_host_has_no_mode),
		cmocka_unit_test(whole_gpus_are_for_passthrough),
		cmocka_unit_test(a_mixed_host_is_in_vgpu_mode_and_lists_whole_gpus_beside),
		cmocka_unit_test(a_parent_without_functions_is_a_budget),
		cmocka_unit_test(a_barred_gpu_is_listed_but_counts_for_nothing),
		cmocka_unit_test(types_are_found_whatever_driver_their_parent_has),
		cmocka_unit_test(the_catalogue_fills_what_a_scan_leaves_out),
		cmocka_unit_test(a_vgpu_of_unknown_size_leaves_a_lower_bound),
		cmocka_unit_test(what_cannot_be_read_is_unknown),
		cmocka_unit_test(unprintable_text_does_not_get_further),
		cmocka_unit_test(patches_are_seen_and_can_be_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
