/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the way of binding a GPU, who uses one, and what settles an interrupted
 * binding, on a tree of plain files. Nothing reacts to a write here; the simulated host does, in
 * the integration tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "gpu-agent/monitor/binding.h"
#include "gpu-agent/monitor/gpu_holders.h"
#include "gpu-agent/monitor/plan.h"
#include "gpu-agent/monitor/settle.h"

#define GPU    "0000:82:00.0"
#define AUDIO  "0000:82:00.1"
#define NIC    "0000:83:00.0"
#define BRIDGE "0000:80:01.0"
#define GROUP  "9"
#define UUID   "aa618089-8b16-4d01-a136-25a0f3c73123"
#define DEVICE "sys/devices/pci/"

static const struct policy policy = {
	.range_count = 1,
	.grant_gids = { { 70000, 70010 } },
	.vendor_count = 1,
	.vendors = { 0x10de },
};

static void add(struct fixture *fixture, const char *address, const char *vendor,
		const char *class_code, const char *driver)
{
	char target[128];

	fixture_add_function(fixture, address, vendor, "0x26b9\n", class_code, NULL);
	fixture_link(fixture, "../../../kernel/iommu_groups/" GROUP, DEVICE "%s/iommu_group",
		     address);
	snprintf(target, sizeof(target), "../../../../devices/pci/%s", address);
	fixture_link(fixture, target, "sys/kernel/iommu_groups/" GROUP "/devices/%s", address);
	fixture_write(fixture, "(null)\n", DEVICE "%s/driver_override", address);
	fixture_remove(fixture, DEVICE "%s/driver", address);
	if (driver) {
		snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
		fixture_link(fixture, target, DEVICE "%s/driver", address);
	}
}

static void add_gpu(struct fixture *fixture)
{
	add(fixture, GPU, "0x10de\n", "0x030200\n", "nvidia");
	add(fixture, AUDIO, "0x10de\n", "0x040300\n", "snd_hda_intel");
	fixture_mkdir(fixture, "sys/bus/pci/drivers/vfio-pci");
}

static struct pci_addr address(const char *text)
{
	struct pci_addr parsed;

	assert_int_equal(pci_addr_parse(text, &parsed), 0);
	return parsed;
}

static enum op_reason refusal_with(struct fixture *fixture, const struct policy *with)
{
	struct plan plan;
	struct job job;

	fixture_job(fixture, with, &job);
	plan_make(&job.host, with, address(GPU), false, false, &plan);
	fixture_job_done(&job);
	assert_int_equal(plan.refusal == OP_REASON_NONE, plan.message[0] == '\0');
	return plan.refusal;
}

static enum op_reason refusal(struct fixture *fixture)
{
	return refusal_with(fixture, &policy);
}

/* ---- the plan ------------------------------------------------------------------------- */

static void a_gpu_with_its_audio_and_bridges_can_be_bound(void **state)
{
	add_gpu(*state);
	add(*state, BRIDGE, "0x8086\n", "0x060400\n", "pcieport");
	assert_int_equal(refusal(*state), OP_REASON_NONE);
}

static void what_shares_the_group_from_another_slot_is_in_the_way(void **state)
{
	add_gpu(*state);
	add(*state, NIC, "0x8086\n", "0x020000\n", "ixgbe");
	assert_int_equal(refusal(*state), OP_REASON_GROUP);
}

static void an_endpoint_without_a_driver_is_not_in_the_way(void **state)
{
	add_gpu(*state);
	add(*state, NIC, "0x8086\n", "0x020000\n", NULL);
	assert_int_equal(refusal(*state), OP_REASON_NONE);
}

static void what_others_have_through_vfio_is_in_the_way(void **state)
{
	struct policy lenient = policy;

	lenient.allow_bound = true;
	add_gpu(*state);
	add(*state, NIC, "0x8086\n", "0x020000\n", "vfio-pci");
	assert_int_equal(refusal_with(*state, &lenient), OP_REASON_GROUP);
}

static void another_gpu_never_comes_along(void **state)
{
	add_gpu(*state);
	add(*state, NIC, "0x10de\n", "0x030200\n", NULL);
	assert_int_equal(refusal(*state), OP_REASON_GROUP);
}

static void without_an_iommu_there_is_no_group(void **state)
{
	add_gpu(*state);
	fixture_remove(*state, DEVICE GPU "/iommu_group");
	assert_int_equal(refusal(*state), OP_REASON_NO_GROUP);
}

static void the_boot_display_needs_leave(void **state)
{
	struct policy lenient = policy;

	add_gpu(*state);
	fixture_write(*state, "1\n", DEVICE GPU "/boot_vga");
	assert_int_equal(refusal(*state), OP_REASON_BOOT_DISPLAY);
	lenient.allow_boot_display = true;
	assert_int_equal(refusal_with(*state, &lenient), OP_REASON_NONE);
}

static void vgpus_are_in_the_way(void **state)
{
	add_gpu(*state);
	fixture_write(*state, "4\n", DEVICE GPU "/sriov_numvfs");
	assert_int_equal(refusal(*state), OP_REASON_VFS);
	fixture_write(*state, "0\n", DEVICE GPU "/sriov_numvfs");
	assert_int_equal(refusal(*state), OP_REASON_NONE);
	fixture_mkdir(*state, DEVICE GPU "/" UUID);
	assert_int_equal(refusal(*state), OP_REASON_VFS);
}

static void what_somebody_else_bound_needs_leave(void **state)
{
	struct policy lenient = policy;

	add(*state, GPU, "0x10de\n", "0x030200\n", "nvgrace_gpu_vfio_pci");
	assert_int_equal(refusal(*state), OP_REASON_FOREIGN);
	lenient.allow_bound = true;
	assert_int_equal(refusal_with(*state, &lenient), OP_REASON_NONE);
}

static void what_cannot_be_read_is_not_allowed(void **state)
{
	add_gpu(*state);
	fixture_write(*state, "what\n", DEVICE GPU "/sriov_numvfs");
	assert_int_equal(refusal(*state), OP_REASON_UNKNOWN);
	fixture_write(*state, "0\n", DEVICE GPU "/sriov_numvfs");
	fixture_remove(*state, DEVICE AUDIO "/class");
	assert_int_equal(refusal(*state), OP_REASON_UNKNOWN);
}

static void nvswitches_are_found_by_device_and_by_driver(void **state)
{
	struct job job;

	add_gpu(*state);
	fixture_job(*state, &policy, &job);
	assert_int_equal(plan_has_nvswitch(&job.host, NULL), 0);
	fixture_mkdir(*state, "sys/bus/pci/drivers/nvidia-nvswitch/0000:84:00.0");
	assert_int_equal(plan_has_nvswitch(&job.host, NULL), 1);
	fixture_remove(*state, "sys/bus/pci/drivers/nvidia-nvswitch");
	fixture_add_function(*state, "0000:84:00.0", "0x10de\n", "0x22a3\n", "0x068000\n", NULL);
	assert_int_equal(plan_has_nvswitch(&job.host, NULL), 1);
	fixture_job_done(&job);
}

/* ---- bind ----------------------------------------------------------------------------- */

static struct op_request request(enum op_kind kind)
{
	return (struct op_request){
		.version = OPS_VERSION, .kind = kind, .uuid = UUID, .parent = address(GPU)
	};
}

static void expect_untouched(struct fixture *fixture)
{
	const char *journal = fixture_read(fixture, "journal/journal");

	assert_true(!journal || journal[0] == '\0');
	assert_string_equal(fixture_read(fixture, DEVICE GPU "/driver_override"), "(null)\n");
	assert_string_equal(fixture_read(fixture, DEVICE AUDIO "/driver_override"), "(null)\n");
}

static void bind_needs_the_driver(void **state)
{
	struct op_request r = request(OP_BIND_VFIO);
	struct fixture_answer answer;

	add_gpu(*state);
	fixture_remove(*state, "sys/bus/pci/drivers/vfio-pci");
	fixture_run(*state, &policy, &r, bind_run, &answer);
	assert_int_equal(answer.result.status, OP_REFUSED);
	assert_non_null(strstr(answer.result.message, "modprobe vfio-pci"));
	expect_untouched(*state);
}

static void bind_that_cannot_write_undoes_itself(void **state)
{
	struct op_request r = request(OP_BIND_VFIO);
	struct fixture_answer answer;

	add_gpu(*state);
	fixture_run(*state, &policy, &r, bind_run, &answer);
	assert_int_equal(answer.result.status, OP_KERNEL); /* there is no drivers/nvidia/unbind */
	/* The kernel's file would have been emptied by this; ours keeps what lay behind. */
	assert_string_equal(fixture_read(*state, DEVICE GPU "/driver_override"), "\nfio-pci");
	assert_non_null(strstr(fixture_read(*state, "journal/journal"), "intent "));
	assert_non_null(strstr(fixture_read(*state, "journal/journal"),
			       "bind " UUID " " GPU " 0=nvidia,1=snd_hda_intel "));
	assert_non_null(strstr(fixture_read(*state, "journal/journal"), "failed "));
}

static void restore_and_reset_need_an_entry(void **state)
{
	struct op_request r = request(OP_RESTORE_DRIVER);
	struct fixture_answer answer;

	add(*state, GPU, "0x10de\n", "0x030200\n", "vfio-pci");
	fixture_run(*state, &policy, &r, restore_run, &answer);
	assert_int_equal(answer.result.status, OP_REFUSED);
	assert_int_equal(answer.result.reason, OP_REASON_JOURNAL);
	r.kind = OP_RESET;
	fixture_write(*state, "", DEVICE GPU "/reset");
	fixture_run(*state, &policy, &r, reset_run, &answer);
	assert_int_equal(answer.result.status, OP_REFUSED);
	assert_string_equal(fixture_read(*state, DEVICE GPU "/reset"), "");
	assert_string_equal(fixture_read(*state, DEVICE GPU "/driver_override"), "(null)\n");
}

/* ---- who uses it ---------------------------------------------------------------------- */

#define CARD "sys/devices/pci/" GPU "/drm/card1"

/* A process that has the node open, or only mapped. */
static pid_t hold(struct fixture *fixture, const char *node, bool map)
{
	char path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", fixture->root, node);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR);

		if (map && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
			_exit(1);
		if (map)
			close(fd);
		if (fd < 0)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	return pid;
}

static void release(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void expect_holder(struct fixture *fixture, pid_t pid, bool certain)
{
	struct op_request r = request(OP_FIND_GPU_HOLDERS);
	struct fixture_answer answer;

	fixture_run(fixture, &policy, &r, gpu_holders_run, &answer);
	release(pid);
	assert_int_equal(answer.result.status, OP_OK);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.records[0].holder.pid, pid);
	assert_int_equal(answer.records[0].holder.certain, certain);
	assert_string_equal(PCI_STR(answer.records[0].holder.gpu), GPU);
}

static void who_has_a_node_open_or_mapped_holds_the_gpu(void **state)
{
	struct fixture *fixture = *state;

	add_gpu(fixture);
	fixture_write(fixture, "MAJOR=226\nDEVNAME=dri/card1\n", CARD "/uevent");
	fixture_write(fixture, "x", "dev/dri/card1");
	fixture_write(fixture, "DEVNAME=snd/controlC2\n",
		      "sys/devices/pci/" AUDIO "/sound/card2/controlC2/uevent");
	fixture_write(fixture, "x", "dev/snd/controlC2");
	expect_holder(fixture, hold(fixture, "dev/dri/card1", false), true);
	expect_holder(fixture, hold(fixture, "dev/dri/card1", true), true);
	expect_holder(fixture, hold(fixture, "dev/snd/controlC2", false), true);
}

static void a_node_of_an_unknown_gpu_counts_for_each(void **state)
{
	struct fixture *fixture = *state;

	add_gpu(fixture);
	fixture_write(fixture, "x", "dev/nvidia7");
	expect_holder(fixture, hold(fixture, "dev/nvidia7", false), false);
}

static void shared_nodes_count_for_who_has_no_other(void **state)
{
	struct fixture *fixture = *state;

	add_gpu(fixture);
	fixture_write(fixture, "x", "dev/nvidia-uvm");
	expect_holder(fixture, hold(fixture, "dev/nvidia-uvm", true), false);
}

static void a_holder_keeps_a_gpu_from_being_bound(void **state)
{
	struct op_request r = request(OP_BIND_VFIO);
	struct fixture *fixture = *state;
	struct fixture_answer answer;
	pid_t pid;

	add_gpu(fixture);
	fixture_write(fixture, "x", "dev/nvidia0");
	pid = hold(fixture, "dev/nvidia0", false);
	fixture_run(fixture, &policy, &r, bind_run, &answer);
	release(pid);
	assert_int_equal(answer.result.status, OP_IN_USE);
	assert_int_equal(answer.result.reason, OP_REASON_HELD);
	assert_int_equal(answer.records[0].holder.pid, pid);
	expect_untouched(fixture);
}

/* ---- what killed workers left --------------------------------------------------------- */

static void leave_intent(struct fixture *fixture)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct journal_entry entry = {
			.kind = JOURNAL_BINDING,
			.uuid = UUID,
			.parent = address(GPU),
			.functions = { { true, "nvidia" }, { true, "snd_hda_intel" } },
		};
		struct err err;
		struct job job;

		fixture_job(fixture, &policy, &job);
		_exit(journal_begin(&job.journal, &entry, &err) == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* What the journal says after settling; 0: nothing. */
static enum journal_state settled(struct fixture *fixture)
{
	struct journal_entry entry;
	struct err err;
	struct job job;
	int r;

	leave_intent(fixture);
	fixture_job(fixture, &policy, &job);
	assert_int_equal(settle_run(&job.host, &job.journal, &err), 0);
	r = journal_find(&job.journal, UUID, &entry, &err);
	fixture_job_done(&job);
	assert_true(r >= 0);
	return r == 0 ? 0 : entry.state;
}

static void a_bind_that_did_nothing_is_forgotten(void **state)
{
	add_gpu(*state);
	assert_int_equal(settled(*state), 0);
}

static void a_bind_that_only_wrote_an_override_is_remembered(void **state)
{
	add_gpu(*state);
	fixture_write(*state, "vfio-pci\n", DEVICE AUDIO "/driver_override");
	assert_int_equal(settled(*state), JOURNAL_INTENT);
}

static void a_bind_that_is_half_done_is_remembered(void **state)
{
	add(*state, GPU, "0x10de\n", "0x030200\n", "vfio-pci");
	add(*state, AUDIO, "0x10de\n", "0x040300\n", "snd_hda_intel");
	assert_int_equal(settled(*state), JOURNAL_INTENT);
}

static void a_bind_that_is_done_is_ours(void **state)
{
	add(*state, GPU, "0x10de\n", "0x030200\n", "vfio-pci");
	add(*state, AUDIO, "0x10de\n", "0x040300\n", "vfio-pci");
	assert_int_equal(settled(*state), JOURNAL_CREATED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_gpu_with_its_audio_and_bridges_can_be_bound),
		TEST(what_shares_the_group_from_another_slot_is_in_the_way),
		TEST(an_endpoint_without_a_driver_is_not_in_the_way),
		TEST(what_others_have_through_vfio_is_in_the_way),
		TEST(another_gpu_never_comes_along),
		TEST(without_an_iommu_there_is_no_group),
		TEST(the_boot_display_needs_leave),
		TEST(vgpus_are_in_the_way),
		TEST(what_somebody_else_bound_needs_leave),
		TEST(what_cannot_be_read_is_not_allowed),
		TEST(nvswitches_are_found_by_device_and_by_driver),
		TEST(bind_needs_the_driver),
		TEST(bind_that_cannot_write_undoes_itself),
		TEST(restore_and_reset_need_an_entry),
		TEST(who_has_a_node_open_or_mapped_holds_the_gpu),
		TEST(a_node_of_an_unknown_gpu_counts_for_each),
		TEST(shared_nodes_count_for_who_has_no_other),
		TEST(a_holder_keeps_a_gpu_from_being_bound),
		TEST(a_bind_that_did_nothing_is_forgotten),
		TEST(a_bind_that_only_wrote_an_override_is_remembered),
		TEST(a_bind_that_is_half_done_is_remembered),
		TEST(a_bind_that_is_done_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
