/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "gpu-agent/monitor/mdev_text.h"
#include "gpu-agent/monitor/pci_names.h"

#define PF   "0000:e8:00.0"
#define VF   "0000:e8:00.4"
#define UUID "aa618089-8b16-4d01-a136-25a0f3c73123"
#define A40_1B                                                                                     \
	"num_heads=4, frl_config=45, framebuffer=1024M, max_resolution=5120x2880, max_instance=32\n"

static const struct policy no_policy;

static void scan(struct fixture *fixture, struct fixture_answer *ret)
{
	struct op_request request = { .version = OPS_VERSION, .kind = OP_SCAN };

	fixture_run(fixture, &no_policy, &request, scan_run, ret);
}

static const struct op_pci *find_pci(const struct fixture_answer *answer, const char *address)
{
	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].kind == OP_RECORD_PCI &&
		    strcmp(PCI_STR(answer->records[i].pci.address), address) == 0)
			return &answer->records[i].pci;
	return NULL;
}

static const struct op_mdev_type *find_type(const struct fixture_answer *answer, const char *type)
{
	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].kind == OP_RECORD_MDEV_TYPE &&
		    strcmp(answer->records[i].mdev_type.type, type) == 0)
			return &answer->records[i].mdev_type;
	return NULL;
}

static const struct op_mdev *find_mdev(const struct fixture_answer *answer, const char *uuid)
{
	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].kind == OP_RECORD_MDEV &&
		    strcmp(answer->records[i].mdev.uuid, uuid) == 0)
			return &answer->records[i].mdev;
	return NULL;
}

/* Without the names of what is looked at. */
static size_t count_told(const struct fixture_answer *answer)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->count; i++)
		count += answer->records[i].kind != OP_RECORD_SCANNING;
	return count;
}

static void an_a40_is_told_as_captured(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	const struct op_mdev_type *type;
	const struct op_pci *pci;

	fixture_add_function(fixture, PF, "0x10de\n", "0x2235\n", "0x030200\n", NULL);
	fixture_write(fixture, "32\n", "sys/devices/pci/" PF "/sriov_totalvfs");
	fixture_write(fixture, "32\n", "sys/devices/pci/" PF "/sriov_numvfs");
	fixture_link(fixture, "../../../kernel/iommu_groups/106",
		     "sys/devices/pci/" PF "/iommu_group");
	fixture_add_function(fixture, VF, "0x10de\n", "0x2235\n", "0x030200\n", PF);
	fixture_add_type(fixture, VF, "nvidia-555", "NVIDIA A40-1B\n", A40_1B, "1\n");
	scan(fixture, &answer);

	assert_int_equal(answer.result.status, OP_OK);
	assert_int_equal(count_told(&answer), 3);
	pci = find_pci(&answer, PF);
	assert_non_null(pci);
	assert_int_equal(pci->vendor, 0x10de);
	assert_int_equal(pci->device, 0x2235);
	assert_int_equal(pci->class_code, 0x030200);
	assert_int_equal(pci->numa_node, 1);
	assert_int_equal(pci->sriov_total, 32);
	assert_int_equal(pci->sriov_enabled, 32);
	assert_int_equal(pci->iommu_group, 106);
	assert_int_equal(pci->is_mdev_parent, 0);
	assert_int_equal(pci->incomplete, 0);
	assert_string_equal(pci->driver, "nvidia");
	assert_string_equal(pci->name, "NVIDIA A40");
	pci = find_pci(&answer, VF);
	assert_non_null(pci);
	assert_int_equal(pci->is_virtual, 1);
	assert_int_equal(pci->is_mdev_parent, 1);
	assert_string_equal(PCI_STR(pci->physfn), PF);
	assert_int_equal(pci->sriov_total, 0);
	assert_int_equal(pci->iommu_group, OPS_NO_GROUP);
	type = find_type(&answer, "nvidia-555");
	assert_non_null(type);
	assert_string_equal(type->name, "NVIDIA A40-1B");
	assert_int_equal(type->framebuffer_mb, 1024);
	assert_int_equal(type->max_instance, 32);
	assert_int_equal(type->available, 1);
}

static void what_does_not_matter_is_left_out(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;

	fixture_add_function(fixture, "0000:00:1f.2", "0x8086\n", "0x2922\n", "0x010601\n", NULL);
	fixture_add_function(fixture, "0000:e8:00.1", "0x10de\n", "0x22ba\n", "0x040300\n", NULL);
	fixture_mkdir(fixture, "sys/bus/pci/devices/not-an-address");
	scan(fixture, &answer);
	assert_int_equal(answer.result.status, OP_OK);
	assert_int_equal(count_told(&answer), 0);
}

/* Whoever waits for a scan that hangs learns where: also for a function of which no more is told.
 */
static void each_function_is_announced_by_its_gpu(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	struct pci_addr gpu;

	assert_int_equal(pci_addr_parse(PF, &gpu), 0);
	fixture_add_function(fixture, PF, "0x10de\n", "0x2235\n", "0x030200\n", NULL);
	fixture_add_function(fixture, VF, "0x10de\n", "0x2235\n", "0x030200\n", PF);
	scan(fixture, &answer);

	assert_int_equal(answer.records[0].kind, OP_RECORD_SCANNING);
	for (size_t i = 0; i < answer.count; i++)
		if (answer.records[i].kind == OP_RECORD_SCANNING)
			assert_int_equal(pci_addr_compare(answer.records[i].scanning.gpu, gpu), 0);
		else if (answer.records[i].kind == OP_RECORD_PCI)
			assert_int_equal(answer.records[i - 1].kind, OP_RECORD_SCANNING);
}

static void a_parent_of_any_class_and_wide_domains_are_told(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	const struct op_pci *pci;

	fixture_add_function(fixture, "10000:e1:00.0", "0x1db7\n", "0xfffe\n", "0x088000\n", NULL);
	fixture_add_type(fixture, "10000:e1:00.0", "cxl-a", NULL, NULL, "1\n");
	fixture_remove(fixture, "sys/devices/pci/10000:e1:00.0/numa_node");
	scan(fixture, &answer);
	pci = find_pci(&answer, "10000:e1:00.0");
	assert_non_null(pci);
	assert_int_equal(pci->is_mdev_parent, 1);
	assert_int_equal(pci->numa_node, -1);
	assert_string_equal(pci->name, "1db7:fffe");
}

static void gvt_g_types_have_no_framebuffer_and_need_no_files(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	const struct op_mdev_type *type;

	fixture_add_function(fixture, "0000:00:02.0", "0x8086\n", "0x5912\n", "0x030000\n", NULL);
	fixture_write(fixture, "1\n", "sys/devices/pci/0000:00:02.0/boot_vga");
	fixture_add_type(
		fixture, "0000:00:02.0", "i915-GVTg_V5_4", NULL,
		"low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4\nresolution: 1920x1200\n"
		"weight: 4\n",
		"1\n");
	fixture_add_type(fixture, "0000:00:02.0", "i915-GVTg_V5_8", NULL, NULL, NULL);
	scan(fixture, &answer);

	assert_int_equal(find_pci(&answer, "0000:00:02.0")->is_boot_display, 1);
	type = find_type(&answer, "i915-GVTg_V5_4");
	assert_non_null(type);
	assert_string_equal(type->name, "");
	assert_int_equal(type->framebuffer_mb, OPS_UNKNOWN);
	assert_int_equal(type->max_instance, OPS_UNKNOWN);
	assert_int_equal(type->available, 1);
	assert_int_equal(find_type(&answer, "i915-GVTg_V5_8")->available, OPS_UNKNOWN);
}

/* A directory in place of a file fails to read for root too, and is not "missing". */
static void make_unreadable(struct fixture *fixture, const char *file)
{
	fixture_remove(fixture, "sys/devices/pci/" PF "/%s", file);
	fixture_mkdir(fixture, "sys/devices/pci/" PF "/%s", file);
}

static void a_read_that_fails_is_unknown_and_never_zero(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	const struct op_pci *pci;

	fixture_add_function(fixture, PF, "0x10de\n", "0x2235\n", "0x030200\n", NULL);
	make_unreadable(fixture, "numa_node");
	make_unreadable(fixture, "sriov_totalvfs");
	scan(fixture, &answer);
	pci = find_pci(&answer, PF);
	assert_int_equal(pci->numa_node, OPS_UNKNOWN);
	assert_int_equal(pci->sriov_total, OPS_UNKNOWN);
	assert_int_equal(pci->sriov_enabled, 0);
	assert_int_equal(pci->incomplete, 1);
}

static void a_function_of_unknown_class_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;

	fixture_add_function(fixture, PF, "0x10de\n", "0x2235\n", "0x030200\n", NULL);
	make_unreadable(fixture, "class");
	scan(fixture, &answer);
	assert_int_equal(find_pci(&answer, PF)->class_code, OPS_UNKNOWN_CLASS);
	assert_int_equal(find_pci(&answer, PF)->incomplete, 1);
}

static void unreadable_types_make_no_passthrough_gpu(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;

	fixture_add_function(fixture, PF, "0x10de\n", "0x1eb8\n", "0x030200\n", NULL);
	fixture_write(fixture, "", "sys/devices/pci/" PF "/mdev_supported_types");
	scan(fixture, &answer);
	assert_int_equal(find_pci(&answer, PF)->is_mdev_parent, 1);
	assert_int_equal(find_pci(&answer, PF)->incomplete, 1);
}

static void vendor_vfio_is_seen(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;

	fixture_add_function(fixture, VF, "0x10de\n", "0x26b9\n", "0x030200\n", PF);
	fixture_write(fixture, "", "sys/devices/pci/" VF "/nvidia/creatable_vgpu_types");
	scan(fixture, &answer);
	assert_int_equal(find_pci(&answer, VF)->has_vendor_vfio, 1);
	assert_int_equal(find_pci(&answer, VF)->is_mdev_parent, 0);
}

static void mdevs_are_told_with_type_group_and_whose_they_are(void **state)
{
	const char *const foreign = "bb618089-8b16-4d01-a136-25a0f3c73123";
	struct journal_entry entry = { .kind = JOURNAL_MDEV, .uuid = UUID, .type = "nvidia-555" };
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	const struct op_mdev *mdev;
	struct err err;
	struct job job;

	fixture_add_function(fixture, VF, "0x10de\n", "0x2235\n", "0x030200\n", PF);
	fixture_add_type(fixture, VF, "nvidia-555", NULL, NULL, "0\n");
	fixture_add_mdev(fixture, VF, "nvidia-555", UUID, "200");
	fixture_add_mdev(fixture, VF, "nvidia-556", foreign, "201");
	assert_int_equal(pci_addr_parse(VF, &entry.parent), 0);
	fixture_job(fixture, &no_policy, &job);
	assert_int_equal(journal_begin(&job.journal, &entry, &err), 0);
	fixture_job_done(&job);
	scan(fixture, &answer);

	mdev = find_mdev(&answer, UUID);
	assert_non_null(mdev);
	assert_string_equal(mdev->type, "nvidia-555");
	assert_string_equal(PCI_STR(mdev->parent), VF);
	assert_int_equal(mdev->iommu_group, 200);
	assert_int_equal(mdev->in_journal, 1);
	assert_int_equal(mdev->half_removed, 0);
	assert_int_equal(find_mdev(&answer, foreign)->in_journal, 0);
}

/* As the kernel leaves it while a holder delays the removal. */
static void a_half_removed_mdev_is_told_as_such(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;

	fixture_add_function(fixture, VF, "0x10de\n", "0x2235\n", "0x030200\n", PF);
	fixture_add_mdev(fixture, VF, "nvidia-555", UUID, "200");
	fixture_remove(fixture, "sys/bus/mdev/devices/" UUID);
	fixture_remove(fixture, "sys/devices/pci/" VF "/" UUID "/mdev_type");
	fixture_remove(fixture, "sys/devices/pci/" VF "/" UUID "/remove");
	scan(fixture, &answer);
	assert_int_equal(find_mdev(&answer, UUID)->half_removed, 1);
	assert_string_equal(find_mdev(&answer, UUID)->type, "");
	assert_int_equal(find_mdev(&answer, UUID)->iommu_group, 200);
}

static void an_unreadable_mdev_still_takes_its_slot(void **state)
{
	struct fixture *fixture = *state;
	struct fixture_answer answer;

	fixture_add_function(fixture, VF, "0x10de\n", "0x2235\n", "0x030200\n", PF);
	fixture_add_mdev(fixture, VF, "nvidia-555", UUID, "not-a-number");
	scan(fixture, &answer);
	assert_non_null(find_mdev(&answer, UUID));
	assert_int_equal(find_mdev(&answer, UUID)->iommu_group, OPS_NO_GROUP);
}

static void descriptions_are_read_as_far_as_they_say(void **state)
{
	static const struct {
		const char *text;
		int32_t framebuffer, max_instance;
	} cases[] = {
		{ A40_1B, 1024, 32 },
		{ "max_instance=8, framebuffer=512M", 512, 8 },
		{ "", OPS_UNKNOWN, OPS_UNKNOWN },
		{ "framebuffer=M, max_instance=", OPS_UNKNOWN, OPS_UNKNOWN },
		{ "framebuffer=1G, max_instance=-3", OPS_UNKNOWN, OPS_UNKNOWN },
		{ "my_framebuffer=5M framebuffer=7M", 7, OPS_UNKNOWN },
		{ "framebuffer=99999999999M", OPS_UNKNOWN, OPS_UNKNOWN },
		{ "framebuffer=99999999999999999999999M", OPS_UNKNOWN, OPS_UNKNOWN },
		{ "framebuffer: 4096M\nmax_instance=2\n", OPS_UNKNOWN, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(mdev_text_framebuffer(cases[i].text), cases[i].framebuffer);
		assert_int_equal(mdev_text_max_instance(cases[i].text), cases[i].max_instance);
	}
}

static void names_come_from_our_table_then_pci_ids_then_the_numbers(void **state)
{
	struct pci_names *names = pci_names_new();
	char name[OPS_NAME_MAX], cut[8];

	(void)state;
	pci_names_find(names, 0x10de, 0x26b9, name, sizeof(name));
	assert_string_equal(name, "NVIDIA L40S");
	pci_names_find(names, 0x10de, 0x1bb3, name, sizeof(name));
	assert_string_equal(name, "NVIDIA Tesla P4");
	pci_names_find(names, 0x8086, 0x5912, name, sizeof(name));
	assert_string_equal(name, "Intel HD Graphics 630");
	pci_names_find(names, 0x10de, 0xfffe, name, sizeof(name));
	assert_string_equal(name, "10de:fffe");
	pci_names_find(names, 0x10de, 0x26b9, cut, sizeof(cut));
	assert_string_equal(cut, "NVIDIA ");
	pci_names_free(names);
}

static void a_type_of_the_same_name_is_each_boards_own(void **state)
{
	struct fixture_answer answer;
	size_t names[2] = { 0 };

	for (int vf = 4; vf < 6; vf++) {
		char first[16], second[16];

		snprintf(first, sizeof(first), "0000:41:00.%d", vf);
		snprintf(second, sizeof(second), "0000:61:00.%d", vf);
		fixture_add_function(*state, first, "0x10de\n", "0x2235\n", "0x030200\n",
				     "0000:41:00.0");
		fixture_add_function(*state, second, "0x10de\n", "0x26b9\n", "0x030200\n",
				     "0000:61:00.0");
		fixture_add_type(*state, first, "nvidia-555", "NVIDIA A40-1B\n", A40_1B, "1\n");
		fixture_add_type(*state, second, "nvidia-555", "NVIDIA L40S-2B\n",
				 "framebuffer=2048M, max_instance=24\n", "0\n");
	}
	scan(*state, &answer);
	for (size_t i = 0; i < answer.count; i++) {
		const struct op_mdev_type *type = &answer.records[i].mdev_type;
		bool first = type->parent.bus == 0x41;

		if (answer.records[i].kind != OP_RECORD_MDEV_TYPE)
			continue;
		names[first]++;
		assert_string_equal(type->name, first ? "NVIDIA A40-1B" : "NVIDIA L40S-2B");
		assert_int_equal(type->framebuffer_mb, first ? 1024 : 2048);
		assert_int_equal(type->max_instance, first ? 32 : 24);
		assert_int_equal(type->available, first);
	}
	assert_int_equal(names[0], 2);
	assert_int_equal(names[1], 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_a40_is_told_as_captured),
		TEST(what_does_not_matter_is_left_out),
		TEST(each_function_is_announced_by_its_gpu),
		TEST(a_parent_of_any_class_and_wide_domains_are_told),
		TEST(gvt_g_types_have_no_framebuffer_and_need_no_files),
		TEST(a_read_that_fails_is_unknown_and_never_zero),
		TEST(a_function_of_unknown_class_is_told),
		TEST(unreadable_types_make_no_passthrough_gpu),
		TEST(vendor_vfio_is_seen),
		TEST(mdevs_are_told_with_type_group_and_whose_they_are),
		TEST(a_half_removed_mdev_is_told_as_such),
		TEST(an_unreadable_mdev_still_takes_its_slot),
		TEST(a_type_of_the_same_name_is_each_boards_own),
		cmocka_unit_test(descriptions_are_read_as_far_as_they_say),
		cmocka_unit_test(names_come_from_our_table_then_pci_ids_then_the_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
